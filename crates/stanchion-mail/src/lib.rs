//! Mails to people: a port, an SMTP adapter, and one that writes files.
//!
//! A [`Mailer`] hands one [`Mail`] over and says what came of it. It keeps nothing, and whoever calls it decides what
//! is sent again: call it from a consumer or a job, whose work survives a crash, never from a request. A mail may
//! then arrive twice; both have the same `Message-ID`, by which many mailboxes show one.
//!
//! | `mail.url` | is |
//! |---|---|
//! | `smtp://HOST:PORT` | a server, with STARTTLS or not at all |
//! | `smtps://HOST:PORT` | a server that speaks TLS from the first byte |
//! | `smtp+plain://HOST:PORT` | a server without TLS, on a loopback address alone: a relay of this machine, a test's |
//! | `file:FOLDER` | a file a mail, the newest 1,000, for development |
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use stanchion_mail::{FileMailer, Mail, Mailbox, Mailer};
//!
//! let folder = tempfile::tempdir()?;
//! let mailer = FileMailer::new(folder.path(), "Shop <no-reply@shop.example>".parse()?);
//! let mail = Mail {
//!     id: stanchion_runtime::id::new_v7(),
//!     to: Mailbox::new("ada@example.com", Some("Ada"))?,
//!     subject: "Welcome".into(),
//!     text: "Glad that you are here.\n".into(),
//! };
//! mailer.send(&mail).await?;
//! assert_eq!(std::fs::read_dir(folder.path())?.count(), 1);
//! # Ok(()) }
//! ```

mod compose;
mod counted;
mod file;
mod mail;
mod settings;
mod smtp;

use async_trait::async_trait;

pub use counted::Counted;
pub use file::{FILES_MAX, FileMailer};
pub use mail::{Mail, Mailbox, NotAMailbox};
pub use settings::{MailSettings, SetupError, open};
pub use smtp::SmtpMailer;

/// Hands mails over to whoever delivers them.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands the mail over. `Ok`: the other side has taken it up and answers for it. Ends within the adapter's bound,
    /// whatever the other side does. After an error it may have been taken up nevertheless.
    ///
    /// # Errors
    /// See [`MailError`].
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}

/// Why a mail was not handed over. No text of the other side is in it: that repeats addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// It would be refused again: nobody has that address (`5.1.…`, `5.2.1`), or the mail cannot be written down.
    #[error("the mail is refused: {0}")]
    Refused(String),
    /// Anything else; the same mail may be taken up later.
    #[error("the mail cannot be handed over now: {0}")]
    Unavailable(String),
}
