//! Mails: wanted by an event in the log, written and handed over by a consumer.
//!
//! No request waits for a mail server, and a crash loses no mail: it is handed over again until that succeeds, so a mail
//! may come twice. What a mail says is looked up when it is written, and a repeat of it has a token of its own.

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
use crate::domain::{Status, User};

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

impl Contract for MailWanted {
    const NAME: &'static str = "identity.mail_wanted.v1";

    fn key(&self) -> String {
        self.about.to_string()
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
        let written = self.write_mail(post, &wanted, received.id).await;
        if let Some(mail) = written.map_err(later)? {
            match post.mailer.send(&mail).await {
                Ok(()) => {
                    tracing::info!(mail_id = %mail.id, what = ?wanted.what, "mail handed over")
                }
                Err(MailError::Refused(why)) => {
                    tracing::warn!(mail_id = %mail.id, what = ?wanted.what, why, "a mail is given up: nobody takes it");
                }
                Err(MailError::Unavailable(why)) => return Err(HandlerError::Failed(why)),
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
        let Some(user) = self.addressee(wanted).await? else {
            return Ok(None);
        };
        let to = Mailbox::new(user.profile.email.as_str(), None);
        let Ok(to) = to else {
            tracing::warn!(mail_id = %mail, user_id = %user.id, "a mail is given up: its address is none");
            return Ok(None);
        };
        let purpose = match wanted.what {
            MailKind::ResetDone => return Ok(Some(texts::reset_done(mail, to))),
            MailKind::Verification => Purpose::Verification,
            MailKind::Reset => Purpose::Reset,
        };
        if self.has_enough(user.id, purpose, mail).await? {
            return Ok(None);
        }
        let token = self.new_token(mail, &user, purpose).await?;
        Ok(Some(match purpose {
            Purpose::Verification => texts::verification(mail, to, &token, &post.pages),
            Purpose::Reset => texts::reset(mail, to, &token, &post.pages),
        }))
    }

    /// Who gets it: nobody, if there is no such user (any more), or nothing to be proved.
    async fn addressee(&self, wanted: &MailWanted) -> Result<Option<User>, Failure> {
        if wanted.what == MailKind::Reset {
            let Some(email_key) = self.one_time.asked(&self.db, wanted.about).await? else {
                return Ok(None);
            };
            let who = Who::EmailKey(&email_key);
            let Some(found) = self.users.credentials(&self.db, who).await? else {
                return Ok(None);
            };
            let user = self.users.find_by_id(&self.db, found.user).await?;
            return Ok(user.filter(|user| user.status == Status::Active));
        }
        let found = self
            .users
            .find_by_id(&self.db, UserId(wanted.about))
            .await?;
        let Some(user) = found else {
            return Ok(None);
        };
        let proved =
            wanted.what == MailKind::Verification && self.verified_at(&user).await?.is_some();
        Ok((!proved).then_some(user))
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
        user: &User,
        purpose: Purpose,
    ) -> Result<OneTimeToken, Failure> {
        let (token, now) = (OneTimeToken::generate(), clock::now());
        let row = NewToken {
            id: mail,
            hash: token.hash(),
            purpose,
            user: user.id,
            email_key: user.profile.email.key(),
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
