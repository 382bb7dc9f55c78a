//! The section of the configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stanchion_config::SecretString;

use crate::smtp::SmtpMailer;
use crate::{FileMailer, Mailbox, Mailer};

stanchion_config::settings! {
    /// Mails to people.
    pub struct MailSettings {
        /// Who hands them over: smtp://HOST:PORT with STARTTLS, smtps://HOST:PORT with TLS from the first byte,
        /// smtp+plain://HOST:PORT without TLS on a loopback address, file:FOLDER for development.
        pub url: Option<String> = unset,
        /// Who they come from: an address, or `Name <address>`.
        pub from: String = "no-reply@localhost",
        /// The user that the server wants.
        pub user: Option<String> = unset,
        /// The user's password.
        pub password: Option<SecretString> = unset,
        /// Whoever signed the server's certificate, as PEM; the machine's own list where unset.
        pub tls_roots: Option<PathBuf> = unset,
        /// The longest that handing one over takes, from connecting to the server's last word.
        #[range("1s"..="5m")]
        pub timeout: Duration = "30s",
    }
}

/// Why mails cannot be sent as configured.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// It is no URL of a mailer.
    #[error(
        "mail.url: {0}; write smtp://HOST:PORT, smtps://HOST:PORT, smtp+plain://ADDRESS:PORT or file:FOLDER"
    )]
    Url(&'static str),
    /// Nobody can be written to from there.
    #[error("mail.from: {0}")]
    From(#[from] crate::NotAMailbox),
    /// A user without a password, or the other way round.
    #[error("mail.user and mail.password go together")]
    Credentials,
    /// The file of certificates cannot be read or used.
    #[error(transparent)]
    Roots(#[from] stanchion_config::PemError),
    /// TLS cannot be set up.
    #[error("mail: TLS cannot be set up: {0}")]
    Tls(String),
}

/// The mailer that these settings name; without a URL the one that writes into `folder`, if there is one. No
/// connection is made.
///
/// # Errors
/// See [`SetupError`].
pub fn open(
    settings: &MailSettings,
    folder: Option<&Path>,
) -> Result<Option<Arc<dyn Mailer>>, SetupError> {
    let from: Mailbox = settings.from.parse()?;
    let folder = match &settings.url {
        None => folder.map(Path::to_owned),
        Some(url) => url.strip_prefix("file:").map(PathBuf::from),
    };
    if let Some(folder) = folder {
        return Ok(Some(Arc::new(FileMailer::new(folder, from))));
    }
    let Some(url) = &settings.url else {
        return Ok(None);
    };
    Ok(Some(Arc::new(SmtpMailer::new(url, settings, from)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(url: &str, change: impl FnOnce(&mut MailSettings)) -> Result<bool, SetupError> {
        let mut settings = MailSettings {
            url: Some(url.into()),
            ..MailSettings::default()
        };
        change(&mut settings);
        open(&settings, None).map(|mailer| mailer.is_some())
    }

    #[test]
    fn a_url_names_a_mailer() {
        for url in [
            "smtp://mail.example",
            "smtp://mail.example:2525",
            "smtps://mail.example:465",
            "smtps://[::1]:465",
            "smtp+plain://127.0.0.1:25",
            "smtp+plain://localhost:25",
            "smtp+plain://[::1]",
            "file:mails",
        ] {
            assert!(matches!(opened(url, |_| {}), Ok(true)), "{url}");
        }
    }

    #[test]
    fn what_names_none_is_refused() {
        for url in [
            "",
            "mail.example",
            "http://mail.example",
            "smtp://",
            "smtp://:25",
            "smtp://mail.example:0",
            "smtp://mail.example:70000",
            "smtp://user:secret@mail.example",
            "smtp://mail.example/path",
            "smtp+plain://mail.example:25",
            "smtp+plain://192.0.2.1:25",
        ] {
            assert!(
                matches!(opened(url, |_| {}), Err(SetupError::Url(_))),
                "{url}"
            );
        }
    }

    #[test]
    fn without_a_url_mails_go_into_the_folder_or_nowhere() {
        let settings = MailSettings::default();
        assert!(open(&settings, None).unwrap().is_none());
        assert!(open(&settings, Some(Path::new("mails"))).unwrap().is_some());
    }

    #[test]
    fn a_half_of_the_credentials_is_none_and_no_secret_is_shown() {
        let outcome = opened("smtp://mail.example", |settings| {
            settings.password = Some("hunter2".into());
        });
        let error = outcome.unwrap_err();
        assert!(matches!(error, SetupError::Credentials));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        let user_alone = opened("smtp://mail.example", |settings| {
            settings.user = Some("shop".into());
        });
        assert!(matches!(user_alone, Err(SetupError::Credentials)));
    }

    #[test]
    fn a_sender_that_is_none_is_refused() {
        let outcome = opened("file:mails", |settings| settings.from = "nobody".into());
        assert!(matches!(outcome, Err(SetupError::From(_))));
    }

    #[test]
    fn roots_that_are_none_are_refused() {
        let outcome = opened("smtp://mail.example", |settings| {
            settings.tls_roots = Some("/nowhere/roots.pem".into());
        });
        assert!(matches!(outcome, Err(SetupError::Roots(_))));
    }

    #[test]
    fn a_file_without_a_certificate_is_refused_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.pem");
        std::fs::write(&file, "nothing of the kind").unwrap();
        let outcome = opened("smtp://mail.example", |settings| {
            settings.tls_roots = Some(file.clone());
        });
        let told = outcome.unwrap_err().to_string();
        assert!(
            told.contains("mail.tls_roots") && told.contains("no certificate"),
            "{told}"
        );
    }
}
