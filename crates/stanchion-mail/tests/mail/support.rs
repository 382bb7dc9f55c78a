use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use stanchion_mail::{Mail, MailError, MailSettings, Mailbox, Mailer, SmtpMailer};
use stanchion_testing::servers::SmtpTls;
use tempfile::TempDir;
use uuid::Uuid;

/// An authority and a server's certificate for this machine, as PEM files.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    pub(crate) fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        write("roots.pem", authority.pem());
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        write(
            "server.pem",
            params.signed_by(&key, &authority).unwrap().pem(),
        );
        write("server-key.pem", key.serialize_pem());
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        Path::new(self.0.path()).join(name)
    }

    pub(crate) fn of_server(&self, from_the_start: bool) -> SmtpTls {
        SmtpTls {
            certificate: self.path("server.pem"),
            key: self.path("server-key.pem"),
            from_the_start,
        }
    }
}

pub(crate) fn settings() -> MailSettings {
    MailSettings {
        from: "Shop <no-reply@shop.example>".into(),
        timeout: Duration::from_secs(20),
        ..MailSettings::default()
    }
}

pub(crate) async fn send(url: &str, settings: &MailSettings, mail: &Mail) -> Result<(), MailError> {
    let mailer = SmtpMailer::new(url, settings, settings.from.parse().unwrap()).unwrap();
    mailer.send(mail).await
}

pub(crate) fn mail(to: &str) -> Mail {
    Mail {
        id: Uuid::from_u128(7),
        to: Mailbox::new(to, Some("Ädä, the Countess")).unwrap(),
        subject: "Grüße".into(),
        text: "One line.\n.\nA dot alone above.\n".into(),
    }
}

pub(crate) fn is_unavailable(outcome: &Result<(), MailError>) -> bool {
    matches!(outcome, Err(MailError::Unavailable(_)))
}
