//! Secrets that an embedded shop makes for itself and keeps beside its stores.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};

/// The configured secret, or the one kept in `folder`, made with `make` at the first start.
///
/// Without a folder (the store is not embedded) it must be configured: replicas need the same one.
pub(crate) fn configured_or_kept(
    configured: Option<&SecretString>,
    folder: Option<&Path>,
    name: &str,
    setting: &str,
    make: fn() -> SecretString,
) -> anyhow::Result<SecretString> {
    if let Some(secret) = configured {
        return Ok(secret.clone());
    }
    let folder = folder.with_context(|| {
        format!("{setting} must be set: every replica needs the same one, and this store is not embedded")
    })?;
    let path = folder.join(name);
    match kept(&path)? {
        Some(secret) => Ok(secret),
        None => keep(&path, make()),
    }
}

/// The secret kept in this file, if one is.
pub(crate) fn kept(path: &Path) -> anyhow::Result<Option<SecretString>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(SecretString::from(text.trim().to_owned()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Written whole under another name first, so that a crash leaves no half secret behind.
fn keep(path: &Path, secret: SecretString) -> anyhow::Result<SecretString> {
    let unfinished = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(secret.expose_secret().as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
        .with_context(|| format!("cannot keep a secret in {}", path.display()))?;
    Ok(secret)
}
