//! Fields about a person, sealed with a key of that person's own: without the key they are gone everywhere.
//!
//! [`Personal`] is the field, [`Vault`] has the keys. Nothing that is written (events, snapshots,
//! exports) holds more than cipher text, so shredding a subject is deleting its key.

mod key;
mod master;
mod memory;
mod scope;
mod subjects;
mod vault;

use std::fmt;

use serde::de::{DeserializeOwned, Error as _};
use serde::ser::{Error as _, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::key::{NotASealingKey, NotOpened, SealingKey};
pub use self::master::MasterKeys;
pub use self::memory::MemoryVault;
pub use self::subjects::{Resealed, Shredded, Subjects, SubjectsError};
pub use self::vault::{
    KEY_AGE_MAX, ReadError, SUBJECT_CATEGORY, SubjectEvent, SubjectKey, Vault, VaultError,
};
pub(crate) use self::vault::{opening, opening_now, sealing, sealing_state};

/// A value about a person: an event's or a state's field that shredding makes unreadable.
///
/// Stored as `{"subject": "…", "cipher": "…"}`. A repository with a vault
/// ([`Repository::personal`](crate::Repository::personal)) seals it when it appends and opens it when
/// it loads; everybody else sees it sealed, or opens it with [`Recorded::open`](crate::Recorded::open).
/// Written in any other way an open value is an error: it never leaves memory in the clear. A new
/// value about a subject that is shredded already is not written: what is stored reads as shredded.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// use stanchion_eventsourcing::Personal;
///
/// #[derive(Serialize, Deserialize, Clone, Debug)]
/// #[serde(tag = "type", content = "data", rename_all = "snake_case")]
/// enum CustomerEvent {
///     Registered { name: Personal<String> },
/// }
///
/// let name = Personal::new("4711", "Ada".to_owned());
/// assert_eq!(name.value().map(String::as_str), Some("Ada"));
/// assert_eq!(format!("{name:?}"), "Personal(4711, open)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum Personal<T> {
    /// Readable here.
    Open {
        /// Whom it is about: an id, itself no personal data.
        subject: String,
        /// What is said.
        value: T,
    },
    /// As stored: nobody asked for the key, or the vault has never heard of the subject.
    Sealed {
        /// Whom it is about.
        subject: String,
        /// The value under the subject's key, base64url.
        cipher: String,
    },
    /// The subject's key was deleted: nobody can read it again.
    Shredded {
        /// Whom it was about.
        subject: String,
    },
}

#[derive(Deserialize)]
struct Stored {
    subject: String,
    #[serde(default)]
    cipher: Option<String>,
}

impl<T> From<Stored> for Personal<T> {
    fn from(Stored { subject, cipher }: Stored) -> Self {
        match cipher {
            Some(cipher) => Self::Sealed { subject, cipher },
            None => Self::Shredded { subject },
        }
    }
}

impl<T> Personal<T> {
    /// A value about `subject`, an id that is itself no personal data.
    pub fn new(subject: impl Into<String>, value: T) -> Self {
        Self::Open {
            subject: subject.into(),
            value,
        }
    }

    /// Whom it is about.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::Open { subject, .. }
            | Self::Sealed { subject, .. }
            | Self::Shredded { subject } => subject,
        }
    }

    /// The value, if it is readable here.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Open { value, .. } => Some(value),
            Self::Sealed { .. } | Self::Shredded { .. } => None,
        }
    }

    /// Whether its key was deleted.
    #[must_use]
    pub fn is_shredded(&self) -> bool {
        matches!(self, Self::Shredded { .. })
    }
}

impl<T: Serialize + Sync> Personal<T> {
    /// The value as it may be kept and passed on by whoever has no vault: sealed where it enters a service, it stays
    /// so through aggregates, events, contracts and projections, until somebody has it [`opened`](Self::opened).
    ///
    /// What is sealed already stays as it is; a value about a shredded subject comes back shredded.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn sealed(self, vault: &dyn Vault) -> Result<Self, ReadError> {
        if !matches!(self, Self::Open { .. }) {
            return Ok(self);
        }
        let written = sealing(vault, || serde_json::to_value(&self)).await?;
        let stored = written.and_then(Stored::deserialize);
        stored.map(Self::from).map_err(not_personal)
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync> Personal<T> {
    /// The value with the key as it is stored now: open, shredded, or still sealed where the vault has never heard of
    /// the subject.
    ///
    /// # Errors
    /// See [`ReadError`]. A shredded value is none.
    pub async fn opened(self, vault: &dyn Vault) -> Result<Self, ReadError> {
        if !matches!(self, Self::Sealed { .. }) {
            return Ok(self);
        }
        let stored = serde_json::to_value(&self).map_err(not_personal)?;
        let read = opening_now(vault, || Self::deserialize(&stored)).await?;
        read.map_err(not_personal)
    }
}

/// Never shows the value.
impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self {
            Self::Open { .. } => "open",
            Self::Sealed { .. } => "sealed",
            Self::Shredded { .. } => "shredded",
        };
        write!(f, "Personal({}, {state})", self.subject())
    }
}

impl<T: Serialize> Serialize for Personal<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let cipher = match self {
            Self::Open { subject, value } => match scope::key_of(subject) {
                None => return Err(S::Error::custom(unsealed(subject))),
                Some(SubjectKey::Present(key)) => {
                    let plain = serde_json::to_vec(value).map_err(S::Error::custom)?;
                    Some(key.seal_text(&plain, subject.as_bytes()))
                }
                // Forgotten is forgotten: nothing new about a shredded subject is written.
                Some(SubjectKey::Shredded) => {
                    scope::outlived();
                    None
                }
                Some(SubjectKey::Absent) => None,
            },
            Self::Sealed { cipher, .. } => Some(cipher.clone()),
            Self::Shredded { .. } => None,
        };
        let mut fields = serializer.serialize_struct("Personal", 2)?;
        fields.serialize_field("subject", self.subject())?;
        fields.serialize_field("cipher", &cipher)?;
        fields.end()
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Stored { subject, cipher } = Stored::deserialize(deserializer)?;
        let Some(cipher) = cipher else {
            return Ok(Self::Shredded { subject });
        };
        match scope::key_of(&subject) {
            None | Some(SubjectKey::Absent) => Ok(Self::Sealed { subject, cipher }),
            Some(SubjectKey::Shredded) => Ok(Self::Shredded { subject }),
            Some(SubjectKey::Present(key)) => {
                let plain = key.open_text(&cipher, subject.as_bytes());
                let plain = plain.map_err(|error| {
                    D::Error::custom(format!("personal data of {subject}: {error}"))
                })?;
                let value = serde_json::from_slice(&plain).map_err(|_| {
                    // Not the parser's words: they may quote the value.
                    D::Error::custom(format!("personal data of {subject} is of another type"))
                })?;
                Ok(Self::Open { subject, value })
            }
        }
    }
}

fn not_personal(error: serde_json::Error) -> ReadError {
    ReadError::Value(error.to_string())
}

fn unsealed(subject: &str) -> String {
    format!(
        "personal data of {subject} is only written sealed: through a repository with a vault, or with `sealed`"
    )
}
