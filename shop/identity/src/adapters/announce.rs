//! Which events want a mail: what identity announces, and consumes itself.

use std::time::Duration;

use std::sync::Arc;

use stanchion::eventsourcing::{Announcement, Recorded, SUBJECT_CATEGORY, UnknownEvent};
use stanchion::messaging::{AfterLastAttempt, Consumer, ConsumerLimits};

use crate::application::{Identity, MailKind, MailWanted};
use crate::domain::Event;
use crate::domain::user::Field;

/// The consumer that hands mails over; part of its progress, the same for ever.
pub(crate) const MAILS: &str = "identity-mails";

/// Mails handed over at the same time.
const SENT_MAX: usize = 8;

/// How long one may take, its writing included: more than a mailer's own bound.
const SENT_WITHIN: Duration = Duration::from_secs(360);

/// The first wait after a mail server was out; it doubles.
const AGAIN: Duration = Duration::from_secs(1);

/// The longest wait.
const AGAIN_MAX: Duration = Duration::from_secs(600);

/// With those waits 16 hours: a server that is out for a night loses no mail. Then it is a dead letter.
const ATTEMPTS_MAX: u32 = 105;

/// The mail that an entry of the log wants, or none.
pub(crate) fn announce(recorded: &Recorded) -> Result<Vec<Announcement>, UnknownEvent> {
    // The vault is in the same log, and no mail is about a key that was destroyed.
    if recorded.stream.category() == SUBJECT_CATEGORY {
        return Ok(Vec::new());
    }
    let (what, about) = match recorded.decode::<Event>()? {
        Event::VerificationAsked { user_id } => (MailKind::Verification, user_id.0),
        Event::ResetAsked { request_id } => (MailKind::Reset, request_id),
        Event::PasswordReset { user_id } => (MailKind::ResetDone, user_id.0),
        Event::UserUpdated { user_id, fields } if fields.contains(&Field::Email) => {
            (MailKind::AddressLeft, user_id.0)
        }
        _ => return Ok(Vec::new()),
    };
    Ok(vec![Announcement::of(&MailWanted { what, about })])
}

/// Hands over what is wanted.
pub(crate) fn mails(identity: &Arc<Identity>, consumer: Consumer) -> Consumer {
    let identity = Arc::clone(identity);
    let limits = ConsumerLimits {
        keys_max: SENT_MAX,
        handler_timeout: SENT_WITHIN,
        attempts_max: ATTEMPTS_MAX,
        backoff_base: AGAIN,
        backoff_max: AGAIN_MAX,
        // No mail builds on another one.
        after_last_attempt: AfterLastAttempt::KeyGoesOn,
        ..ConsumerLimits::default()
    };
    consumer
        .limits(limits)
        .on(move |wanted: MailWanted, received| {
            let identity = Arc::clone(&identity);
            async move { identity.send_mail(wanted, &received).await }
        })
}
