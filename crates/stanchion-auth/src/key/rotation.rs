//! When a key is published, signs, only verifies, and goes: decided from states and times alone.

use jiff::{SignedDuration, Timestamp};

use super::algorithm::SigningAlgorithm;
use crate::token::{ACCESS_TTL, LEEWAY};

/// How long others may keep our JWK set before asking again; the answer's `max-age`.
pub const JWKS_MAX_AGE: SignedDuration = SignedDuration::from_mins(10);

/// How long a key is published before it signs: two `max-age`s, so that every verifier has met it.
pub const PUBLISH_AHEAD: SignedDuration = SignedDuration::from_mins(20);

/// How often every process rereads the keys from the store, at least.
pub const RELOAD_EVERY: SignedDuration = SignedDuration::from_mins(5);

/// How long a key signs by default.
pub const SIGN_FOR: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Where a key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// In the JWK set, not used yet.
    Published,
    /// Signs new tokens.
    Signing,
    /// Verifies the tokens that it signed until they have expired.
    VerifyOnly,
}

/// What the store knows of a key besides the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its name.
    pub kid: String,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// Where it stands.
    pub state: KeyState,
    /// Since when it stands there.
    pub since: Timestamp,
}

/// One step that is due; steps of one plan belong in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// Make a new key of the policy's algorithm in that state.
    Generate(KeyState),
    /// Move that key to that state, as of now.
    Move {
        /// The key.
        kid: String,
        /// Its next state.
        to: KeyState,
    },
    /// Forget that key.
    Remove {
        /// The key.
        kid: String,
    },
}

/// The periods of a key's life, and what new keys sign with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationPolicy {
    /// What keys sign with. Another one than the present key's is a rotation like any other: a key of it is published,
    /// signs [`publish_ahead`](Self::publish_ahead) later, and tokens of the former one live out.
    pub algorithm: SigningAlgorithm,
    /// How long a key is published before it signs.
    pub publish_ahead: SignedDuration,
    /// How long it signs.
    pub sign_for: SignedDuration,
    /// How long it verifies afterwards: a token's life, the leeway, and the time until every process noticed.
    pub verify_only_for: SignedDuration,
}

impl RotationPolicy {
    /// The default periods for access tokens of that life.
    #[must_use]
    pub fn for_tokens_of(ttl: SignedDuration) -> Self {
        Self {
            algorithm: SigningAlgorithm::default(),
            publish_ahead: PUBLISH_AHEAD,
            sign_for: SIGN_FOR,
            verify_only_for: ttl.saturating_add(LEEWAY).saturating_add(RELOAD_EVERY),
        }
    }

    /// The same with keys of that algorithm.
    #[must_use]
    pub fn with_algorithm(self, algorithm: SigningAlgorithm) -> Self {
        Self { algorithm, ..self }
    }
}

impl Default for RotationPolicy {
    fn default() -> Self {
        Self::for_tokens_of(ACCESS_TTL)
    }
}

/// The steps that are due at `now`: none most of the time.
///
/// Carried out in order they leave exactly one key signing. With nothing due the plan is empty, so it may be asked
/// for at any time and by every replica; the store's transaction sees to it that only one carries a step out.
/// A first start signs at once with a new key, as nobody can hold an older set.
///
/// ```
/// use stanchion_auth::key::{KeyChange, KeyState, RotationPolicy, rotation};
///
/// let now = stanchion_runtime::clock::now();
/// let due = rotation::plan(&[], now, &RotationPolicy::default());
/// assert_eq!(due, [KeyChange::Generate(KeyState::Signing)]);
/// ```
#[must_use]
pub fn plan(keys: &[KeyRecord], now: Timestamp, policy: &RotationPolicy) -> Vec<KeyChange> {
    let mut changes = removals(keys, now, policy);
    let next = next(keys, policy);
    let Some(signing) = oldest(keys, KeyState::Signing) else {
        changes.push(match next.or_else(|| oldest(keys, KeyState::Published)) {
            Some(next) => next.to(KeyState::Signing),
            None => KeyChange::Generate(KeyState::Signing),
        });
        return changes;
    };
    // Two processes that both made a first key: every one keeps the same one.
    changes.extend(
        in_state(keys, KeyState::Signing)
            .filter(|key| key.kid != signing.kid)
            .map(|key| key.to(KeyState::VerifyOnly)),
    );
    let signed_for = signing.age(now);
    let is_ending = signing.algorithm != policy.algorithm
        || signed_for.saturating_add(policy.publish_ahead) >= policy.sign_for;
    match next {
        // A key is published only when it is wanted, so its time has come once every verifier can have met it.
        Some(next) if next.age(now) >= policy.publish_ahead => {
            changes.push(signing.to(KeyState::VerifyOnly));
            changes.push(next.to(KeyState::Signing));
        }
        Some(_) => {}
        None if is_ending => changes.push(KeyChange::Generate(KeyState::Published)),
        None => {}
    }
    changes
}

/// How soon a rotation that an operator asks for takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Haste {
    /// The next key is published now and signs when every verifier can have met it; no token fails.
    Ahead,
    /// The next key signs now; the former one verifies for as long as its tokens live. A verifier that does not ask for
    /// keys it has not met refuses tokens until its set is renewed, at most [`JWKS_MAX_AGE`].
    Now,
    /// The former key has leaked: the next one signs now, and all others are forgotten. Every access token ends here at
    /// once, and with every other verifier when its set is renewed; sessions go on with their refresh tokens.
    Leaked,
}

/// The steps of a rotation that is asked for at `now`, whatever the time of the present key.
///
/// Empty if nothing is to be done: the next key is published already. Carried out like those of [`plan`].
#[must_use]
pub fn at_once(keys: &[KeyRecord], policy: &RotationPolicy, haste: Haste) -> Vec<KeyChange> {
    let next = next(keys, policy);
    let step_in = match next {
        Some(next) => next.to(KeyState::Signing),
        None => KeyChange::Generate(KeyState::Signing),
    };
    match haste {
        Haste::Ahead if next.is_some() => Vec::new(),
        Haste::Ahead => vec![KeyChange::Generate(KeyState::Published)],
        Haste::Now => in_state(keys, KeyState::Signing)
            .map(|key| key.to(KeyState::VerifyOnly))
            .chain([step_in])
            .collect(),
        // What is published lay beside what has leaked.
        Haste::Leaked => keys
            .iter()
            .map(KeyRecord::removed)
            .chain([KeyChange::Generate(KeyState::Signing)])
            .collect(),
    }
}

impl Haste {
    /// Its name, as an operator writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Now => "now",
            Self::Leaked => "leaked",
        }
    }

    /// The haste of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ahead, Self::Now, Self::Leaked]
            .into_iter()
            .find(|haste| haste.name() == name)
    }
}

impl KeyState {
    /// The state's name, as a store keeps it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Signing => "signing",
            Self::VerifyOnly => "verify-only",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Published, Self::Signing, Self::VerifyOnly]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

impl KeyRecord {
    fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.since)
    }

    fn to(&self, state: KeyState) -> KeyChange {
        KeyChange::Move {
            kid: self.kid.clone(),
            to: state,
        }
    }

    fn removed(&self) -> KeyChange {
        KeyChange::Remove {
            kid: self.kid.clone(),
        }
    }
}

/// Keys whose tokens have all ended, and those that were published for an algorithm that nobody wants any more. The
/// latter keep a good while: replicas with different settings must not undo each other's steps.
fn removals(keys: &[KeyRecord], now: Timestamp, policy: &RotationPolicy) -> Vec<KeyChange> {
    let retired =
        in_state(keys, KeyState::VerifyOnly).filter(|key| key.age(now) >= policy.verify_only_for);
    let has_signing = oldest(keys, KeyState::Signing).is_some();
    let unwanted = in_state(keys, KeyState::Published)
        .filter(|key| has_signing && key.algorithm != policy.algorithm)
        .filter(|key| key.age(now) >= policy.sign_for);
    retired.chain(unwanted).map(KeyRecord::removed).collect()
}

/// The key that signs next.
fn next<'k>(keys: &'k [KeyRecord], policy: &RotationPolicy) -> Option<&'k KeyRecord> {
    in_state(keys, KeyState::Published)
        .filter(|key| key.algorithm == policy.algorithm)
        .min_by_key(|key| (key.since, &key.kid))
}

/// By time, then by name, so that all processes mean the same one.
fn oldest(keys: &[KeyRecord], state: KeyState) -> Option<&KeyRecord> {
    in_state(keys, state).min_by_key(|key| (key.since, &key.kid))
}

fn in_state(keys: &[KeyRecord], state: KeyState) -> impl Iterator<Item = &KeyRecord> {
    keys.iter().filter(move |key| key.state == state)
}

#[cfg(test)]
mod tests;
