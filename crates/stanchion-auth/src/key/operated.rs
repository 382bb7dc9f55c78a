//! What an operator does with signing keys.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::rotation::Haste;

/// Signing keys in a store, for `keys list`, `keys rotate` and `keys reseal` of a service's command line and its admin
/// port. Every call may be repeated; none that fails leaves a half behind.
#[async_trait]
pub trait OperatedKeys: Send + Sync {
    /// Which store it is: a service that runs is asked in place of this process only if it has the same one.
    fn store(&self) -> String;

    /// All keys, in order of their names.
    ///
    /// # Errors
    /// The store is out, or a key does not open.
    async fn list(&self) -> Result<Vec<KeyListing>, String>;

    /// A rotation that is asked for (see [`at_once`](super::rotation::at_once)); the keys afterwards.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    async fn rotate(&self, haste: Haste) -> Result<Vec<KeyListing>, String>;

    /// Seals all keys with the present key-encryption key; how many were sealed by another one.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    async fn reseal(&self) -> Result<u64, String>;
}

/// A key as an operator sees it; nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyListing {
    /// Its name in tokens.
    pub kid: String,
    /// What it signs with.
    pub algorithm: String,
    /// `published`, `signing` or `verify-only`.
    pub state: String,
    /// Since when.
    pub since: Timestamp,
    /// The fingerprint of the key-encryption key that sealed it.
    pub sealed_by: String,
}
