//! Where a secret comes from: a file, the environment, or a vault behind [`SecretSource`].
//!
//! A key-encryption key is asked for once, at start; whoever changes it restarts, with the former one beside it
//! ([`KeyEncryptionKey::also_opening`](crate::key::KeyEncryptionKey::also_opening)). Vault's KV version 2 is
//! `stanchion::vault`, as nothing here has a transport.
//!
//! ```
//! use stanchion_auth::key::KeyEncryptionKey;
//! use stanchion_auth::secret_source::{FileSecret, SecretSource};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("kek");
//! # use secrecy::ExposeSecret;
//! # std::fs::write(&path, KeyEncryptionKey::generate_text().expose_secret())?;
//! let source = FileSecret::at(&path);
//! let sealing = KeyEncryptionKey::from_text(&source.secret().await?)?;
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(()) }
//! ```

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use secrecy::{SecretSlice, SecretString};
use tokio::io::AsyncReadExt;

/// The longest secret that is read, in bytes.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;

/// Gives one secret, each time it is asked.
#[async_trait]
pub trait SecretSource: Send + Sync {
    /// The secret as it is now, without white space at its ends.
    ///
    /// # Errors
    /// [`SecretError`], which names the place and nothing of the secret.
    async fn secret(&self) -> Result<SecretString, SecretError>;
}

/// A secret that is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is nothing at that place.
    #[error("there is no secret at {0}")]
    Missing(String),
    /// Something is there that is no secret: too long, or no text.
    #[error("what is at {0} is no secret: {1}")]
    Malformed(String, &'static str),
    /// The place cannot be read now.
    #[error("{0} cannot be read: {1}")]
    Unavailable(String, String),
}

/// The content of a file, as an orchestrator mounts it.
#[derive(Debug, Clone)]
pub struct FileSecret(PathBuf);

/// An environment variable. Every process of the same user can read it, and a child inherits it: prefer a file.
#[derive(Debug, Clone)]
pub struct EnvironmentSecret(String);

impl FileSecret {
    /// The file at that path.
    #[must_use]
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self(path.as_ref().to_owned())
    }
}

impl EnvironmentSecret {
    /// The variable of that name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }
}

#[async_trait]
impl SecretSource for FileSecret {
    async fn secret(&self) -> Result<SecretString, SecretError> {
        let place = self.0.display().to_string();
        let unavailable = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => SecretError::Missing(place.clone()),
            _ => SecretError::Unavailable(place.clone(), error.to_string()),
        };
        let file = tokio::fs::File::open(&self.0).await.map_err(unavailable)?;
        let mut bytes = Vec::new();
        let mut bounded = file.take(SECRET_BYTES_MAX as u64 + 1);
        bounded.read_to_end(&mut bytes).await.map_err(unavailable)?;
        read(place, bytes)
    }
}

#[async_trait]
impl SecretSource for EnvironmentSecret {
    async fn secret(&self) -> Result<SecretString, SecretError> {
        let place = format!("${}", self.0);
        let value = std::env::var_os(&self.0).ok_or_else(|| SecretError::Missing(place.clone()))?;
        read(place, value.into_encoded_bytes())
    }
}

/// What was found at a place, as a secret.
///
/// # Errors
/// It is empty, too long or no text.
pub fn read(place: String, bytes: Vec<u8>) -> Result<SecretString, SecretError> {
    let bytes = SecretSlice::from(bytes);
    let bytes = secrecy::ExposeSecret::expose_secret(&bytes);
    if bytes.len() > SECRET_BYTES_MAX {
        return Err(SecretError::Malformed(place, "it is longer than 64 KiB"));
    }
    match std::str::from_utf8(bytes) {
        Err(_) => Err(SecretError::Malformed(place, "it is no text")),
        Ok(text) if text.trim().is_empty() => Err(SecretError::Missing(place)),
        Ok(text) => Ok(SecretString::from(text.trim().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[tokio::test]
    async fn a_file_gives_its_content_as_it_is_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        let source = FileSecret::at(&path);
        let missing = source.secret().await.unwrap_err();
        assert!(matches!(missing, SecretError::Missing(_)));
        for (written, given) in [("one\n", "one"), (" two ", "two")] {
            std::fs::write(&path, written).unwrap();
            assert_eq!(source.secret().await.unwrap().expose_secret(), given);
        }
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(source.secret().await.unwrap_err(), missing);
        for odd in [vec![b'x'; SECRET_BYTES_MAX + 1], vec![0xff, 0xfe]] {
            std::fs::write(&path, odd).unwrap();
            let refusal = source.secret().await.unwrap_err();
            assert!(matches!(refusal, SecretError::Malformed(..)), "{refusal}");
        }
    }

    #[tokio::test]
    async fn the_environment_gives_what_the_process_was_given() {
        // Set by cargo for every test.
        let source = EnvironmentSecret::named("CARGO_PKG_NAME");
        let secret = source.secret().await.unwrap();
        assert_eq!(secret.expose_secret(), "stanchion-auth");
        let missing = EnvironmentSecret::named("STANCHION_NO_SUCH_VARIABLE");
        let missing = missing.secret().await.unwrap_err().to_string();
        assert!(missing.contains("$STANCHION_NO_SUCH_VARIABLE"));
    }
}
