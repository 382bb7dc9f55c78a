//! Mails: wanted by an event in the log, written and handed over by a consumer.
//!
//! No request waits for a mail server, and a crash loses no mail: it is handed over again until that succeeds, so a mail
//! may come twice. What a mail says is looked up when it is written, and a repeat of it has a token of its own.

mod tell_left;
mod texts;

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shop_kernel::UserId;
use stanchion::auth::one_time::OneTimeToken;
use stanchion::eventsourcing::AppendError;
use stanchion::mail::{Mail, MailError, Mailbox, Mailer};
use stanchion::messaging::{Contract, HandlerError, Received};
use stanchion::runtime::clock;
use stanchion::sql::{UnitOfWork, WorkError};
use uuid::Uuid;

use super::one_time::{NewToken, Purpose};
use super::ports::Who;
use super::verify_email::{MAILS_MAX, MAILS_WITHIN};
use super::{Failure, Identity};
use crate::domain::{Email, Status, User};

/// A mail is wanted: a contract that never leaves the context.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MailWanted {
    pub(crate) what: MailKind,
    /// A user; of a reset, the request.
    pub(crate) about: Uuid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MailKind {
    /// By which a user can prove the address.
    Verification,
    /// By which a user can choose a new password.
    Reset,
    /// Somebody has chosen one.
    ResetDone,
    /// To the address that a user had: another one was chosen.
    AddressLeft,
}

/// Who gets a mail, and where.
struct Addressee {
    user: UserId,
    email: Email,
    /// It was put back, and another one that was left since is held.
    is_back: bool,
}

/// How mails leave identity.
pub(crate) struct Post {
    pub(crate) mailer: Arc<dyn Mailer>,
    pub(crate) pages: MailPages,
}

/// Pages of the front end that mails lead to, each with `{token}` where the token goes; without one a mail shows the
/// token alone. Behind a `#` the token stays in the browser, and out of logs.
#[derive(Clone, Debug, Default)]
pub struct MailPages {
    /// Where an address is proved.
    pub verification: Option<String>,
    /// Where a new password is chosen.
    pub reset: Option<String>,
}

impl Addressee {
    fn of(user: User) -> Self {
        Self {
            user: user.id,
            email: user.profile.email,
            is_back: false,
        }
    }
}

impl Post {
    /// A mail that nobody takes is given up; one that nobody can take now is tried again.
    async fn hand_over(&self, mail: &Mail, what: MailKind) -> Result<(), HandlerError> {
        match self.mailer.send(mail).await {
            Ok(()) => tracing::info!(mail_id = %mail.id, ?what, "mail handed over"),
            Err(MailError::Refused(why)) => {
                tracing::warn!(mail_id = %mail.id, ?what, why, "a mail is given up: nobody takes it");
            }
            Err(MailError::Unavailable(why)) => return Err(HandlerError::Failed(why)),
        }
        Ok(())
    }
}

impl Contract for MailWanted {
    const NAME: &'static str = "identity.mail_wanted.v1";

    fn key(&self) -> String {
        match self.what {
            MailKind::Verification | MailKind::Reset | MailKind::ResetDone => {
                self.about.to_string()
            }
            // Not behind letters to the address that was chosen: who chose it can see to it that those wait for hours.
            MailKind::AddressLeft => format!("{}-left", self.about),
        }
    }
}

impl Identity {
    /// What mails leave by; without it whoever wants one is told so.
    pub(crate) fn post(&self) -> Result<&Post, Failure> {
        self.post.as_ref().ok_or(Failure::NoMail)
    }

    /// Writes the mail that is wanted, if it still is, and hands it over.
    pub(crate) async fn send_mail(
        &self,
        wanted: MailWanted,
        received: &Received,
    ) -> Result<(), HandlerError> {
        let Some(post) = &self.post else {
            return Err(HandlerError::Later("no mailer is configured".into()));
        };
        if wanted.what == MailKind::AddressLeft {
            let user = UserId(wanted.about);
            self.tell_left(post, user, received.id).await?;
        } else {
            let written = self.write_mail(post, &wanted, received.id).await;
            if let Some(mail) = written.map_err(later)? {
                post.hand_over(&mail, wanted.what).await?;
            }
        }
        self.settle(&wanted, received).await.map_err(later)
    }

    async fn write_mail(
        &self,
        post: &Post,
        wanted: &MailWanted,
        mail: Uuid,
    ) -> Result<Option<Mail>, Failure> {
        let Some(addressee) = self.addressee(wanted, mail).await? else {
            return Ok(None);
        };
        let to = Mailbox::new(addressee.email.as_str(), None);
        let Ok(to) = to else {
            tracing::warn!(mail_id = %mail, user_id = %addressee.user, "a mail is given up: its address is none");
            return Ok(None);
        };
        let purpose = match wanted.what {
            MailKind::ResetDone => return Ok(Some(texts::reset_done(mail, to))),
            MailKind::AddressLeft => return Ok(None),
            MailKind::Verification => Purpose::Verification,
            MailKind::Reset => Purpose::Reset,
        };
        if self.has_enough(addressee.user, purpose, mail).await? {
            return Ok(None);
        }
        let token = self.new_token(mail, &addressee, purpose).await?;
        Ok(Some(match purpose {
            Purpose::Verification => {
                texts::verification(mail, to, &token, &post.pages, addressee.is_back)
            }
            Purpose::Reset => texts::reset(mail, to, &token, &post.pages),
        }))
    }

    /// Who gets it: nobody, if there is no such user (any more), or nothing to be proved.
    async fn addressee(
        &self,
        wanted: &MailWanted,
        mail: Uuid,
    ) -> Result<Option<Addressee>, Failure> {
        let user = UserId(wanted.about);
        match wanted.what {
            MailKind::Reset => self.who_forgot(wanted.about, mail).await,
            // There may be several: they are told apart from each other.
            MailKind::AddressLeft => Ok(None),
            MailKind::ResetDone => {
                let found = self.users.find_by_id(&self.db, user).await?;
                Ok(found.map(Addressee::of))
            }
            MailKind::Verification => {
                let Some(user) = self.users.find_by_id(&self.db, user).await? else {
                    return Ok(None);
                };
                let proved = self.verified_at(&user).await?.is_some();
                let is_back = self.is_put_back(&user).await?;
                Ok((!proved || is_back).then(|| Addressee {
                    is_back,
                    ..Addressee::of(user)
                }))
            }
        }
    }

    /// Whose password is to be set anew by a letter: for as long as addresses that a user left are held, it goes to the first of them
    /// or nowhere.
    async fn who_forgot(&self, request: Uuid, mail: Uuid) -> Result<Option<Addressee>, Failure> {
        let Some(email_key) = self.one_time.asked(&self.db, request).await? else {
            return Ok(None);
        };
        let now = clock::now();
        let who = Who::EmailKey(&email_key);
        if let Some(found) = self.users.credentials(&self.db, who).await? {
            let held = self.former_emails.held(&self.db, found.user, now).await?;
            let first = held.first();
            if first.is_some_and(|first| first.email.key() != email_key) {
                tracing::info!(mail_id = %mail, user_id = %found.user, "a mail is not sent: its user has this address but since lately");
                return Ok(None);
            }
            let user = self.active(found.user).await?;
            // It may have another one since it was found by this.
            if let Some(user) = user.filter(|user| user.profile.email.key() == email_key) {
                return Ok(Some(Addressee::of(user)));
            }
        }
        let left = self.former_emails.proved(&self.db, &email_key, now);
        let Some(left) = left.await? else {
            return Ok(None);
        };
        let held = self.former_emails.held(&self.db, left.user, now).await?;
        let decides = held.first().is_some_and(|first| first.is_of(&left.email));
        if !decides {
            return Ok(None);
        }
        let user = self.active(left.user).await?;
        Ok(user.map(|user| Addressee {
            user: user.id,
            email: left.email,
            is_back: false,
        }))
    }

    async fn active(&self, user: UserId) -> Result<Option<User>, Failure> {
        let user = self.users.find_by_id(&self.db, user).await?;
        Ok(user.filter(|user| user.status == Status::Active))
    }

    /// Whoever asks for others again and again does not fill their mailboxes.
    async fn has_enough(
        &self,
        user: UserId,
        purpose: Purpose,
        mail: Uuid,
    ) -> Result<bool, Failure> {
        let since = clock::now().saturating_sub(MAILS_WITHIN);
        let since = since.unwrap_or(Timestamp::MIN);
        // Of a mail that is handed over once more the token is there already.
        let others = Some(mail);
        let sent = self
            .one_time
            .sent_since(&self.db, user, purpose, since, others);
        let enough = sent.await? >= MAILS_MAX;
        if enough {
            tracing::info!(mail_id = %mail, user_id = %user, "a mail is not sent: its user was sent enough of them");
        }
        Ok(enough)
    }

    async fn new_token(
        &self,
        mail: Uuid,
        to: &Addressee,
        purpose: Purpose,
    ) -> Result<OneTimeToken, Failure> {
        let (token, now) = (OneTimeToken::generate(), clock::now());
        let row = NewToken {
            id: mail,
            hash: token.hash(),
            purpose,
            user: to.user,
            email_key: to.email.key(),
            created_at: now,
            expires_at: now.saturating_add(purpose.life()).unwrap_or(now),
        };
        self.one_time.put(&self.db, &row).await?;
        Ok(token)
    }

    /// From here on a repeat has no effect: only what was handed over is dealt with.
    async fn settle(&self, wanted: &MailWanted, received: &Received) -> Result<(), Failure> {
        let mut unit = UnitOfWork::begin(&self.db);
        if wanted.what == MailKind::Reset {
            self.one_time.answered(&unit, wanted.about).await?;
        }
        unit.settle(received.inbox(), &received.metadata);
        match unit.commit().await {
            Err(WorkError::Log(AppendError::AlreadyHandled { .. })) => Ok(()),
            outcome => Ok(outcome.map(drop)?),
        }
    }
}

fn later(failure: Failure) -> HandlerError {
    HandlerError::Later(failure.to_string())
}
