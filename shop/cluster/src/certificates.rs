use std::path::{Path, PathBuf};

/// A folder of certificates for mutual TLS between the services, all as PEM: `roots.pem`, `NAME.pem` and `NAME.key` for each
/// context, and both together in `front.bundle.pem` for the front. Each is for `localhost` and 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Those in that folder; nothing is read here.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self { folder }
    }

    /// The authorities that all of them trust.
    #[must_use]
    pub fn roots(&self) -> PathBuf {
        self.folder.join("roots.pem")
    }

    /// Somebody's certificate.
    #[must_use]
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.pem"))
    }

    /// Its key.
    #[must_use]
    pub fn key(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.key"))
    }

    /// Certificate and key in one file, as HAProxy wants them.
    #[must_use]
    pub fn bundle(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.bundle.pem"))
    }

    /// What a process of that context is told: what it shows, whom it lets in, and how it asks the others.
    pub(crate) fn settings(&self, context: &str) -> Vec<(String, String)> {
        let path = |path: PathBuf| path.display().to_string();
        let (certificate, key) = (path(self.certificate(context)), path(self.key(context)));
        let roots = path(self.roots());
        let mut settings = vec![
            ("SHOP__SERVER__TLS__CERTIFICATE".into(), certificate.clone()),
            ("SHOP__SERVER__TLS__KEY".into(), key.clone()),
            ("SHOP__SERVER__TLS__CLIENT_ROOTS".into(), roots.clone()),
        ];
        for asked in ["IDENTITY", "INVENTORY"] {
            let of = |name: &str| format!("SHOP__{asked}__CLIENT__TLS__{name}");
            settings.push((of("ROOTS"), roots.clone()));
            settings.push((of("CERTIFICATE"), certificate.clone()));
            settings.push((of("KEY"), key.clone()));
        }
        settings
    }
}
