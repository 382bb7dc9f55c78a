use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::SealingKey;
use super::scope::{self, Keys};
use crate::{LogError, NewEvent, ProjectionError, Recorded, UnknownEvent};

/// How long a process may use a key, or a state with opened values, without asking the vault again:
/// so late another process may still see what was shredded.
pub const KEY_AGE_MAX: Duration = Duration::from_secs(30);

/// The category of the streams in which a vault records what became of a subject; see [`SubjectEvent`].
pub const SUBJECT_CATEGORY: &str = "subject";

/// How often keys are asked for during one read or write; old shapes may name subjects late.
const ROUNDS_MAX: usize = 4;

/// What a vault knows of a subject's key.
#[derive(Clone, Debug)]
pub enum SubjectKey {
    /// Here it is.
    Present(SealingKey),
    /// It was deleted.
    Shredded,
    /// The vault has never heard of the subject.
    Absent,
}

/// The vault cannot be asked, or its keys cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the vault is unavailable: {0}")]
pub struct VaultError(pub String);

/// Where the subjects' keys are.
///
/// A key handed out is durable. A subject that was shredded never gets a key again.
#[async_trait]
pub trait Vault: Send + Sync {
    /// The keys of these subjects, for reading; none is made.
    ///
    /// # Errors
    /// The vault cannot be asked.
    async fn keys_to_open(
        &self,
        subjects: &[String],
    ) -> Result<HashMap<String, SubjectKey>, VaultError>;

    /// The same for values that will be kept as they were opened: a vault that remembers keys for a while must not answer
    /// from its memory.
    ///
    /// # Errors
    /// The vault cannot be asked.
    async fn keys_as_stored(
        &self,
        subjects: &[String],
    ) -> Result<HashMap<String, SubjectKey>, VaultError> {
        self.keys_to_open(subjects).await
    }

    /// The keys of these subjects as they are stored, for writing; a subject without one gets one.
    ///
    /// # Errors
    /// The vault cannot be asked.
    async fn keys_to_seal(
        &self,
        subjects: &[String],
    ) -> Result<HashMap<String, SubjectKey>, VaultError>;
}

/// What happens to subjects, in streams of [`SUBJECT_CATEGORY`] named after them.
///
/// A projection that keeps opened values takes this category into its filter and deletes them when
/// it comes, also during a rebuild; a relay may announce it to other contexts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum SubjectEvent {
    /// The subject's key is deleted: everything sealed with it is unreadable.
    SubjectShredded {
        /// Whose.
        subject: String,
    },
}

/// Why an event could not be read with its personal values opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// This code does not know the event.
    #[error(transparent)]
    Unknown(#[from] UnknownEvent),
    /// The vault cannot be asked; trying again may help.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A personal value on its own does not open or cannot be written; trying again does not help.
    #[error("{0}")]
    Value(String),
}

impl Recorded {
    /// The event as the enum `E`, its personal values opened as far as their keys are there now: what is opened here may
    /// be kept, so no key that is only remembered is taken.
    ///
    /// # Errors
    /// See [`ReadError`]. A shredded value is none.
    pub async fn open<E: DeserializeOwned + Send>(
        &self,
        vault: &dyn Vault,
    ) -> Result<E, ReadError> {
        Ok(opening_now(vault, || self.decode::<E>()).await??)
    }
}

impl NewEvent {
    /// As [`NewEvent::of`], with its personal values sealed: for what is appended without a repository.
    ///
    /// Ask before a transaction is opened: the vault has a store of its own.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn sealed<E: Serialize + Sync>(
        event: &E,
        vault: &dyn Vault,
    ) -> Result<Self, ReadError> {
        Ok(sealing(vault, || Self::of(event)).await??)
    }
}

impl From<ReadError> for ProjectionError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unknown(error) => error.into(),
            ReadError::Vault(error) => Self::Store(error.to_string()),
            ReadError::Value(error) => Self::Poison(error),
        }
    }
}

impl From<VaultError> for LogError {
    fn from(error: VaultError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Runs a synchronous read with the keys it turns out to need.
pub(crate) async fn opening<T: Send>(
    vault: &dyn Vault,
    read: impl Fn() -> T + Send + Sync,
) -> Result<T, VaultError> {
    Ok(with_keys(vault, Want::Remembered, read).await?.0)
}

/// The same with the keys as they are stored, for values that will be kept as they were opened.
pub(crate) async fn opening_now<T: Send>(
    vault: &dyn Vault,
    read: impl Fn() -> T + Send + Sync,
) -> Result<T, VaultError> {
    Ok(with_keys(vault, Want::Now, read).await?.0)
}

/// Runs a synchronous write with the keys it turns out to need.
pub(crate) async fn sealing<T: Send>(
    vault: &dyn Vault,
    write: impl Fn() -> T + Send + Sync,
) -> Result<T, VaultError> {
    Ok(with_keys(vault, Want::Made, write).await?.0)
}

/// The same for a state that was remembered; `None` if it still has an open value of somebody who is shredded: what was
/// derived from that value stands in the state as well, and nothing seals it.
pub(crate) async fn sealing_state<T: Send>(
    vault: &dyn Vault,
    write: impl Fn() -> T + Send + Sync,
) -> Result<Option<T>, VaultError> {
    let (written, outlived) = with_keys(vault, Want::Made, write).await?;
    Ok((!outlived).then_some(written))
}

/// Which keys a piece of work is done with.
#[derive(Clone, Copy)]
enum Want {
    /// As they were a short time ago.
    Remembered,
    /// As they are stored.
    Now,
    /// As they are stored; made where there are none.
    Made,
}

/// What the work gave, and whether an open value of a shredded subject was met.
async fn with_keys<T: Send>(
    vault: &dyn Vault,
    want: Want,
    work: impl Fn() -> T + Send + Sync,
) -> Result<(T, bool), VaultError> {
    let mut known = Keys::default();
    for _ in 0..ROUNDS_MAX {
        let done = scope::within(known, &work);
        if done.missing.is_empty() {
            return Ok((done.value, done.outlived));
        }
        drop(done.value);
        let missing: Vec<String> = done.missing.into_iter().collect();
        let mut found = match want {
            Want::Remembered => vault.keys_to_open(&missing).await?,
            Want::Now => vault.keys_as_stored(&missing).await?,
            Want::Made => vault.keys_to_seal(&missing).await?,
        };
        known = done.keys;
        for subject in missing {
            let key = found.remove(&subject).unwrap_or(SubjectKey::Absent);
            known.insert(subject, key);
        }
    }
    Err(VaultError("it is asked for ever more keys".into()))
}
