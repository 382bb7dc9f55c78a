//! Passwords: Argon2id on a bounded pool of its own.
//!
//! A hash takes about 25 ms of a core and 19 MiB, so whoever may ask for hashes may take the machine away. At most
//! half the cores hash at a time and 8 callers wait; the next one is told [`PasswordError::HashingBusy`] at once.

mod argon;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use secrecy::{ExposeSecret, SecretString};
use stanchion_runtime::{random, task};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use unicode_normalization::UnicodeNormalization;

pub use argon::Cost;
use argon::Hasher;

use crate::encoding::to_base64url;

/// The shortest password, in characters.
pub const CHARACTERS_MIN: usize = 8;

/// The longest password, in characters.
pub const CHARACTERS_MAX: usize = 256;

/// The longest password, in bytes of UTF-8; longer ones are not even counted.
pub const BYTES_MAX: usize = 1024;

/// How many callers may wait for a slot by default.
pub const QUEUE: usize = 8;

/// Hashes and verifies passwords, a few at a time. Clones share one pool.
///
/// Text is compared in NFC, so that the same password typed on different systems is the same; nothing is trimmed,
/// folded or cut.
#[derive(Clone)]
pub struct Passwords {
    pool: Arc<Pool>,
    hasher: Arc<Hasher>,
}

/// How much hashing costs and how much of it may happen at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordSettings {
    /// What a new hash costs.
    pub cost: Cost,
    /// How many hashes are computed at a time; half the cores, at least one, by default.
    pub slots: usize,
    /// How many callers may wait beyond that; 8 by default.
    pub queue: usize,
}

/// Why a password was not hashed or verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Fewer than 8 characters.
    #[error("a password has at least {CHARACTERS_MIN} characters")]
    TooShort,
    /// More than 256 characters or 1024 bytes.
    #[error("a password has at most {CHARACTERS_MAX} characters and {BYTES_MAX} bytes")]
    TooLong,
    /// Every slot and every place in the queue is taken; try again in a second.
    #[error("too many passwords are being checked; try again in a second")]
    HashingBusy,
    /// The stored hash is no Argon2id PHC string within reasonable cost.
    #[error("a stored password hash is unreadable; the user needs a new password")]
    Unreadable,
    /// Hashing itself failed.
    #[error("password hashing failed: {0}")]
    Failed(String),
}

/// What the pool is doing, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordStats {
    /// How many hashes may be computed at a time.
    pub slots: usize,
    /// How many are.
    pub running: usize,
    /// How many callers wait.
    pub waiting: usize,
    /// How many were computed since the start.
    pub hashed: u64,
    /// How many callers were turned away since the start.
    pub shed: u64,
}

impl Passwords {
    /// A pool of its own with these settings.
    ///
    /// # Errors
    /// [`PasswordError::Failed`] if Argon2 refuses the cost, or it is beyond what [`Cost`] allows.
    pub fn new(settings: &PasswordSettings) -> Result<Self, PasswordError> {
        Ok(Self {
            hasher: Arc::new(Hasher::new(settings.cost)?),
            pool: Arc::new(Pool::new(settings.slots.max(1), settings.queue)),
        })
    }

    /// The PHC string of a new password, with a new salt.
    ///
    /// Cancelling the call while it waits gives its place up; once hashing began it finishes unseen in its slot.
    ///
    /// # Errors
    /// [`PasswordError`]; the length is checked before anything else.
    pub async fn hash(&self, password: &SecretString) -> Result<String, PasswordError> {
        let password = accepted(password)?;
        let hasher = Arc::clone(&self.hasher);
        self.run("password.hash", move || hasher.hash(&password))
            .await
    }

    /// Whether `password` is the one that `phc` was made from.
    ///
    /// With `None`, for a user that does not exist, it takes as long as for one that does and is `false`. A password
    /// that could not have been set is `false` at once, for both.
    ///
    /// # Errors
    /// [`PasswordError::HashingBusy`], [`PasswordError::Unreadable`], [`PasswordError::Failed`].
    pub async fn verify(
        &self,
        phc: Option<&str>,
        password: &SecretString,
    ) -> Result<bool, PasswordError> {
        let Ok(password) = accepted(password) else {
            return Ok(false);
        };
        let hasher = Arc::clone(&self.hasher);
        let phc = phc.map(str::to_owned);
        self.run("password.verify", move || match phc {
            Some(phc) => hasher.verify(&phc, &password),
            None => hasher.verify_nobody(&password),
        })
        .await
    }

    /// Whether a stored hash costs something else than a new one would: hash again at the next login.
    #[must_use]
    pub fn needs_rehash(&self, phc: &str) -> bool {
        !self.hasher.is_current(phc)
    }

    /// What the pool is doing.
    #[must_use]
    pub fn stats(&self) -> PasswordStats {
        self.pool.stats()
    }

    async fn run<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = self.pool.enter().await?;
        let pool = Arc::clone(&self.pool);
        task::blocking(name, move || {
            // The place goes with the work: a caller that leaves does not free a core that is still busy.
            let _place = place;
            let outcome = work();
            pool.hashed.fetch_add(1, Ordering::Relaxed);
            outcome
        })
        .await
        .unwrap_or_else(|failed| Err(PasswordError::Failed(failed.to_string())))
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Passwords")
            .field(&self.stats())
            .finish()
    }
}

impl Default for PasswordSettings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cost: Cost::default(),
            slots: (cores / 2).max(1),
            queue: QUEUE,
        }
    }
}

/// Who may hash now, who may wait, and who may do neither.
struct Pool {
    slots: usize,
    places: usize,
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
    hashed: AtomicU64,
    shed: AtomicU64,
}

/// A slot within an admitted place; dropping it frees both.
struct Place {
    _slot: OwnedSemaphorePermit,
    _admitted: OwnedSemaphorePermit,
}

impl Pool {
    fn new(slots: usize, queue: usize) -> Self {
        let slots = slots.min(Semaphore::MAX_PERMITS);
        let places = slots.saturating_add(queue).min(Semaphore::MAX_PERMITS);
        Self {
            slots,
            places,
            running: Arc::new(Semaphore::new(slots)),
            admitted: Arc::new(Semaphore::new(places)),
            hashed: AtomicU64::new(0),
            shed: AtomicU64::new(0),
        }
    }

    async fn enter(&self) -> Result<Place, PasswordError> {
        let Ok(admitted) = Arc::clone(&self.admitted).try_acquire_owned() else {
            self.shed.fetch_add(1, Ordering::Relaxed);
            return Err(PasswordError::HashingBusy);
        };
        let slot = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(|_| PasswordError::HashingBusy)?;
        Ok(Place {
            _slot: slot,
            _admitted: admitted,
        })
    }

    fn stats(&self) -> PasswordStats {
        let running = self.slots - self.running.available_permits();
        let inside = self.places - self.admitted.available_permits();
        PasswordStats {
            slots: self.slots,
            running,
            waiting: inside.saturating_sub(running),
            hashed: self.hashed.load(Ordering::Relaxed),
            shed: self.shed.load(Ordering::Relaxed),
        }
    }
}

/// A new password of 144 random bits in 24 characters, for the first administrator.
#[must_use]
pub fn generate() -> SecretString {
    SecretString::from(to_base64url(random::bytes::<18>()))
}

/// The password as it is hashed, if its length allows it.
fn accepted(password: &SecretString) -> Result<SecretString, PasswordError> {
    let typed = password.expose_secret();
    if typed.len() > BYTES_MAX {
        return Err(PasswordError::TooLong);
    }
    let composed = SecretString::from(typed.nfc().collect::<String>());
    match composed.expose_secret().chars().count() {
        ..CHARACTERS_MIN => Err(PasswordError::TooShort),
        CHARACTERS_MIN..=CHARACTERS_MAX => Ok(composed),
        _ => Err(PasswordError::TooLong),
    }
}

#[cfg(test)]
mod tests;
