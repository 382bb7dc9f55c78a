//! Files in PEM form that settings name: certificates, authorities and keys.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A longer file holds no certificates or keys.
const BYTES_MAX: usize = 1 << 20;

/// A file in PEM form, as it was when it was read. Whoever reads one says the same of what is wrong with it.
///
/// ```no_run
/// use stanchion_config::PemFile;
///
/// let file = PemFile::read("tls.certificate", "chain.pem".as_ref())?;
/// println!("{} certificates", file.certificates()?.len());
/// # Ok::<(), stanchion_config::PemError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PemFile {
    setting: String,
    path: PathBuf,
    content: Vec<u8>,
}

/// What is wrong with a file in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemError {
    setting: String,
    path: PathBuf,
    reason: String,
}

impl PemFile {
    /// Reads a file of 1 MiB at most, which the setting of that name has named.
    ///
    /// # Errors
    /// It cannot be read, or is larger.
    pub fn read(setting: &str, path: &Path) -> Result<Self, PemError> {
        let mut file = Self {
            setting: setting.to_owned(),
            path: path.to_owned(),
            content: Vec::new(),
        };
        let opened = std::fs::File::open(path).map_err(|error| file.wrong(&error))?;
        // One byte more than fits tells that there is more.
        let mut content = Vec::new();
        let read = opened
            .take(BYTES_MAX as u64 + 1)
            .read_to_end(&mut content)
            .map_err(|error| file.wrong(&error))?;
        if read > BYTES_MAX {
            return Err(file.wrong(&"larger than 1 MiB"));
        }
        file.content = content;
        Ok(file)
    }

    /// Its certificates in their order, one at least.
    ///
    /// # Errors
    /// There is none, or something that is none.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, PemError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.content).collect();
        let found = found.map_err(|error| self.wrong(&error))?;
        if found.is_empty() {
            return Err(self.wrong(&"no certificate in PEM form"));
        }
        Ok(found)
    }

    /// Its private key.
    ///
    /// # Errors
    /// There is none.
    pub fn key(&self) -> Result<PrivateKeyDer<'static>, PemError> {
        let found = PrivateKeyDer::from_pem_slice(&self.content);
        found.map_err(|error| self.wrong(&format!("no private key in PEM form: {error}")))
    }

    /// What it says, for whoever compares it with what it said before.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.content
    }

    /// Whatever else is wrong with what it holds.
    #[must_use]
    pub fn wrong(&self, reason: &dyn fmt::Display) -> PemError {
        PemError {
            setting: self.setting.clone(),
            path: self.path.clone(),
            reason: reason.to_string(),
        }
    }
}

impl fmt::Debug for PemFile {
    /// Without what it holds, which may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PemFile")
            .field("setting", &self.setting)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            path,
            reason,
        } = self;
        write!(f, "{setting}: {}: {reason}", path.display())
    }
}

impl std::error::Error for PemError {}

impl From<PemError> for String {
    fn from(error: PemError) -> Self {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";

    fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.pem");
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_its_setting_and_path() {
        let broken = "-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----\n";
        for (content, expected) in [
            (&b""[..], "no certificate in PEM form"),
            (b"what a key is for", "no certificate in PEM form"),
            (KEY.as_bytes(), "no certificate in PEM form"),
            (broken.as_bytes(), "base64"),
        ] {
            let (_folder, path) = file(content);
            let read = PemFile::read("tls.roots", &path).unwrap();
            let wrong = read.certificates().unwrap_err().to_string();
            let begins = format!("tls.roots: {}: ", path.display());
            assert!(wrong.starts_with(&begins), "{wrong}");
            assert!(wrong.contains(expected), "{wrong}");
        }
        let (_folder, path) = file(b"");
        let none = PemFile::read("tls.key", &path).unwrap().key();
        let none = none.unwrap_err().to_string();
        assert!(none.contains("no private key in PEM form"), "{none}");
        let missing = PemFile::read("tls.key", &path.join("nowhere")).unwrap_err();
        assert!(missing.to_string().starts_with("tls.key: "), "{missing}");
    }

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let endless = PemFile::read("tls.roots", "/dev/zero".as_ref()).unwrap_err();
        assert!(endless.to_string().ends_with("larger than 1 MiB"));
    }

    #[test]
    fn a_key_is_read_and_not_shown() {
        let (_folder, path) = file(KEY.as_bytes());
        let read = PemFile::read("tls.key", &path).unwrap();
        assert!(read.key().is_ok());
        assert!(!format!("{read:?}").contains("MAA"), "{read:?}");
    }
}
