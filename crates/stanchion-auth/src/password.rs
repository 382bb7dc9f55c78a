//! Passwords: Argon2id on a bounded pool of its own, with an optional pepper.
//!
//! A hash takes about 25 ms of a core and 19 MiB, so whoever may ask for hashes may take the machine away. At most
//! half the cores hash at a time, on threads that stand back from all others (niceness 10, on Linux), and 8 callers
//! wait, 2 of them [known](Passwords::place_of_known); the next one is told [`PasswordError::HashingBusy`] at once.
//! Lengths are checked before anything else.
//!
//! # Which passwords are the same
//! They are compared in normal form C, as `OpaqueString` of RFC 8265 (4.2) has it: a letter that one keyboard composes
//! and another takes apart is the same. Compatible forms are not folded (NFKC, which NIST SP 800-63B also allows):
//! `①` and `1`, or a ligature and its letters, stay different passwords. Folding would make two inputs one that their
//! user sees as two, and could not begin today without locking out whoever set one of them.

mod argon;
mod metrics;
mod pepper;
mod pool;

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use stanchion_runtime::random;
use stanchion_telemetry::Metrics;
use tokio::sync::OwnedSemaphorePermit;
use unicode_normalization::UnicodeNormalization;

pub use argon::Cost;
use argon::Hasher;
use pepper::Peppers;
pub use pepper::{NotAPepper, Pepper};
use pool::Pool;

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
/// Text is compared in NFC ([why](self#which-passwords-are-the-same)); nothing is trimmed, folded or cut.
#[derive(Clone)]
pub struct Passwords {
    pool: Arc<Pool>,
    hasher: Arc<Hasher>,
}

/// A place among those whose passwords are hashed or wait for it, given up when dropped.
///
/// For whoever has to ask a store before it can hash: without a place it need not ask at all.
#[must_use]
pub struct Place {
    passwords: Passwords,
    held: OwnedSemaphorePermit,
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
    /// The stored hash names a pepper that is not configured (any more).
    #[error("a stored password hash needs a pepper that is not configured here")]
    PepperUnknown,
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
    /// How many may.
    pub queue: usize,
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
            hasher: Arc::new(Hasher::new(settings.cost, Peppers::default())?),
            pool: Arc::new(Pool::new(settings.slots.max(1), settings.queue)),
        })
    }

    /// The same pool with a pepper in what it hashes from now on, and `former` ones in what it hashed before.
    ///
    /// Hashes without a pepper, or with a former one, still verify and [want a rehash](Self::needs_rehash). With `None`
    /// new hashes have no pepper: the way back.
    ///
    /// # Errors
    /// [`PasswordError::Failed`] if Argon2 refuses the cost.
    pub fn peppered(
        self,
        current: Option<Pepper>,
        former: Vec<Pepper>,
    ) -> Result<Self, PasswordError> {
        let peppers = Peppers::new(current, former);
        Ok(Self {
            hasher: Arc::new(Hasher::new(self.hasher.cost(), peppers)?),
            pool: self.pool,
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
        let place = self.place()?;
        place.run(move || hasher.hash(&password)).await
    }

    /// Whether `password` is the one that `phc` was made from.
    ///
    /// With `None`, for a user that does not exist, it takes as long as for one whose hash has today's cost and is `false`.
    /// A hash of another cost takes its own time until its user logs in: after a change of the cost the two can be told
    /// apart. A password that could not have been set is `false` at once, for both.
    ///
    /// # Errors
    /// [`PasswordError::HashingBusy`], [`PasswordError::Failed`]; and [`PasswordError::Unreadable`] or
    /// [`PasswordError::PepperUnknown`] after as long as any other hash takes.
    pub async fn verify(
        &self,
        phc: Option<&str>,
        password: &SecretString,
    ) -> Result<bool, PasswordError> {
        let Ok(password) = accepted(password) else {
            return Ok(false);
        };
        self.place()?.run(self.verifying(phc, password)).await
    }

    /// A place for one hash, to be had before what it needs is looked up.
    ///
    /// # Errors
    /// [`PasswordError::HashingBusy`] where there is none.
    pub fn place(&self) -> Result<Place, PasswordError> {
        self.place_for(false)
    }

    /// The same for somebody who is known from before: of the places where callers wait a quarter is for those alone, so that
    /// strangers, however many, do not shut them out.
    ///
    /// # Errors
    /// [`PasswordError::HashingBusy`] where there is none.
    pub fn place_of_known(&self) -> Result<Place, PasswordError> {
        self.place_for(true)
    }

    /// Whether a stored hash has another cost or pepper than a new one would: hash again at the next login.
    #[must_use]
    pub fn needs_rehash(&self, phc: &str) -> bool {
        !self.hasher.is_current(phc)
    }

    /// What the pool is doing.
    #[must_use]
    pub fn stats(&self) -> PasswordStats {
        self.pool.stats()
    }

    /// Shows what the pool is doing among these metrics, as `stanchion_passwords_*`; for the one pool of a process.
    pub fn measured_by(&self, metrics: &Metrics) {
        metrics::show(&self.pool, metrics);
    }

    fn place_for(&self, is_known: bool) -> Result<Place, PasswordError> {
        Ok(Place {
            held: self.pool.place(is_known)?,
            passwords: self.clone(),
        })
    }

    fn verifying(
        &self,
        phc: Option<&str>,
        password: SecretString,
    ) -> impl FnOnce() -> Result<bool, PasswordError> + Send + 'static + use<> {
        let hasher = Arc::clone(&self.hasher);
        let phc = phc.map(str::to_owned);
        move || match phc {
            Some(phc) => hasher.verify_or_work(&phc, &password),
            None => hasher.verify_nobody(&password),
        }
    }
}

impl Place {
    /// As [`Passwords::verify`] does it.
    ///
    /// # Errors
    /// Those of [`Passwords::verify`], but for [`PasswordError::HashingBusy`].
    pub async fn verify(
        self,
        phc: Option<&str>,
        password: &SecretString,
    ) -> Result<bool, PasswordError> {
        let Ok(password) = accepted(password) else {
            return Ok(false);
        };
        let work = self.passwords.verifying(phc, password);
        self.run(work).await
    }

    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        self.passwords.pool.run(self.held, work).await
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
