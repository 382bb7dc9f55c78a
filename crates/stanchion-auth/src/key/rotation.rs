//! When a key is published, signs, only verifies, and goes: decided from states and times alone.

use jiff::{SignedDuration, Timestamp};

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
    /// Where it stands.
    pub state: KeyState,
    /// Since when it stands there.
    pub since: Timestamp,
}

/// One step that is due; steps of one plan belong in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// Make a new key in that state.
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

/// The periods of a key's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationPolicy {
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
            publish_ahead: PUBLISH_AHEAD,
            sign_for: SIGN_FOR,
            verify_only_for: ttl.saturating_add(LEEWAY).saturating_add(RELOAD_EVERY),
        }
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
    let next = oldest(keys, KeyState::Published);
    let Some(signing) = oldest(keys, KeyState::Signing) else {
        changes.push(match next {
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
    match next {
        Some(next) if signed_for >= policy.sign_for && next.age(now) >= policy.publish_ahead => {
            changes.push(signing.to(KeyState::VerifyOnly));
            changes.push(next.to(KeyState::Signing));
        }
        Some(_) => {}
        None if signed_for.saturating_add(policy.publish_ahead) >= policy.sign_for => {
            changes.push(KeyChange::Generate(KeyState::Published));
        }
        None => {}
    }
    changes
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
}

fn removals(keys: &[KeyRecord], now: Timestamp, policy: &RotationPolicy) -> Vec<KeyChange> {
    in_state(keys, KeyState::VerifyOnly)
        .filter(|key| key.age(now) >= policy.verify_only_for)
        .map(|key| KeyChange::Remove {
            kid: key.kid.clone(),
        })
        .collect()
}

/// By time, then by name, so that all processes mean the same one.
fn oldest(keys: &[KeyRecord], state: KeyState) -> Option<&KeyRecord> {
    in_state(keys, state).min_by_key(|key| (key.since, &key.kid))
}

fn in_state(keys: &[KeyRecord], state: KeyState) -> impl Iterator<Item = &KeyRecord> {
    keys.iter().filter(move |key| key.state == state)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn key(kid: &str, state: KeyState, since: Timestamp) -> KeyRecord {
        KeyRecord {
            kid: kid.to_owned(),
            state,
            since,
        }
    }

    fn policy() -> RotationPolicy {
        RotationPolicy {
            sign_for: SignedDuration::from_mins(60),
            ..RotationPolicy::default()
        }
    }

    fn plan_at(keys: &[KeyRecord], minutes: i64) -> Vec<KeyChange> {
        plan(keys, at(minutes), &policy())
    }

    #[test]
    fn the_next_key_is_published_ahead_of_its_time() {
        let keys = [key("a", KeyState::Signing, at(0))];
        assert_eq!(plan_at(&keys, 39), []);
        assert_eq!(
            plan_at(&keys, 40),
            [KeyChange::Generate(KeyState::Published)]
        );
    }

    #[test]
    fn a_key_signs_only_after_every_verifier_could_meet_it() {
        let keys = [
            key("a", KeyState::Signing, at(0)),
            key("b", KeyState::Published, at(55)),
        ];
        assert_eq!(plan_at(&keys, 74), []);
        assert_eq!(
            plan_at(&keys, 75),
            [
                keys[0].to(KeyState::VerifyOnly),
                keys[1].to(KeyState::Signing)
            ]
        );
    }

    #[test]
    fn a_retired_key_verifies_as_long_as_its_tokens_live() {
        let keys = [
            key("a", KeyState::VerifyOnly, at(0)),
            key("b", KeyState::Signing, at(0)),
        ];
        let gone = policy().verify_only_for;
        assert!(gone >= ACCESS_TTL + LEEWAY);
        let just_before = at(0) + gone - SignedDuration::from_secs(1);
        assert_eq!(plan(&keys, just_before, &policy()), []);
        assert_eq!(
            plan(&keys, at(0) + gone, &policy()),
            [KeyChange::Remove {
                kid: "a".to_owned()
            }]
        );
    }

    #[test]
    fn of_two_first_keys_all_processes_keep_the_same() {
        let (a, b) = (
            key("a", KeyState::Signing, at(0)),
            key("b", KeyState::Signing, at(0)),
        );
        let due = [b.to(KeyState::VerifyOnly)];
        assert_eq!(plan_at(&[a.clone(), b.clone()], 1), due);
        assert_eq!(plan_at(&[b, a], 1), due);
    }

    #[test]
    fn a_published_key_steps_in_when_none_signs() {
        let keys = [key("a", KeyState::Published, at(0))];
        assert_eq!(plan_at(&keys, 1), [keys[0].to(KeyState::Signing)]);
    }

    #[test]
    fn a_state_is_found_by_its_name() {
        for state in [KeyState::Published, KeyState::Signing, KeyState::VerifyOnly] {
            assert_eq!(KeyState::from_name(state.name()), Some(state));
        }
        assert_eq!(KeyState::from_name("gone"), None);
    }

    fn apply(keys: &mut Vec<KeyRecord>, changes: Vec<KeyChange>, now: Timestamp, made: &mut u32) {
        for change in changes {
            match change {
                KeyChange::Generate(state) => {
                    *made += 1;
                    keys.push(key(&format!("{made:06}"), state, now));
                }
                KeyChange::Move { kid, to } => {
                    let found = keys.iter_mut().find(|key| key.kid == kid).unwrap();
                    (found.state, found.since) = (to, now);
                }
                KeyChange::Remove { kid } => keys.retain(|key| key.kid != kid),
            }
        }
    }

    proptest! {
        #[test]
        fn whenever_rotation_runs_one_key_signs_and_every_token_verifies_for_its_life(
            waits in prop::collection::vec(1i64..200, 1..200),
        ) {
            let (mut keys, mut now, mut made) = (Vec::new(), at(0), 0);
            // (kid, until when its token must verify)
            let mut tokens: Vec<(String, Timestamp)> = Vec::new();
            let mut published: Vec<(String, Timestamp)> = Vec::new();
            for wait in waits {
                now += SignedDuration::from_mins(wait);
                let due = plan(&keys, now, &policy());
                apply(&mut keys, due, now, &mut made);

                let signing: Vec<_> = in_state(&keys, KeyState::Signing).collect();
                prop_assert_eq!(signing.len(), 1);
                prop_assert!(keys.len() <= 4, "{:?}", keys);
                prop_assert_eq!(plan(&keys, now, &policy()), vec![], "a plan is complete");
                for key in in_state(&keys, KeyState::Published) {
                    published.push((key.kid.clone(), key.since));
                }
                let signer = signing[0].kid.clone();
                if signer != "000001" {
                    let seen = published.iter().find(|(kid, _)| *kid == signer).unwrap().1;
                    prop_assert!(now.duration_since(seen) >= PUBLISH_AHEAD);
                }
                tokens.push((signer, now + ACCESS_TTL + LEEWAY));
                tokens.retain(|(_, until)| *until > now);
                for (kid, _) in &tokens {
                    prop_assert!(keys.iter().any(|key| key.kid == *kid), "{kid} is still needed");
                }
            }
        }
    }
}
