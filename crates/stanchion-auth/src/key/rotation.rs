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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn key(kid: &str, state: KeyState, since: Timestamp) -> KeyRecord {
        KeyRecord {
            kid: kid.to_owned(),
            algorithm: SigningAlgorithm::EdDsa,
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

    #[test]
    fn another_algorithm_is_a_rotation_like_any_other() {
        let policy = policy().with_algorithm(SigningAlgorithm::Es256);
        let mut keys = vec![key("a", KeyState::Signing, at(0))];
        let due = plan(&keys, at(1), &policy);
        assert_eq!(due, [KeyChange::Generate(KeyState::Published)]);
        apply(&mut keys, due, at(1), &policy, &mut 0);
        assert_eq!(plan(&keys, at(20), &policy), []);
        let due = plan(&keys, at(21), &policy);
        apply(&mut keys, due, at(21), &policy, &mut 1);
        assert_eq!(keys[0].state, KeyState::VerifyOnly, "its tokens live out");
        assert_eq!(keys[1].state, KeyState::Signing);
        assert_eq!(keys[1].algorithm, SigningAlgorithm::Es256);
    }

    #[test]
    fn a_replica_with_the_old_setting_does_not_undo_the_others_step() {
        let new = policy().with_algorithm(SigningAlgorithm::Es256);
        let mut keys = vec![key("a", KeyState::Signing, at(0))];
        let due = plan(&keys, at(1), &new);
        apply(&mut keys, due, at(1), &new, &mut 0);
        assert_eq!(plan(&keys, at(2), &policy()), [], "the old one leaves it");
        // Nobody wants it any more: it goes after a key's whole life.
        let kept = [key("b", KeyState::Signing, at(70)), keys[1].clone()];
        assert!(!plan(&kept, at(60), &policy()).contains(&keys[1].removed()));
        assert!(plan(&kept, at(71), &policy()).contains(&keys[1].removed()));
    }

    #[test]
    fn a_rotation_that_is_asked_for_publishes_first() {
        let mut keys = vec![key("a", KeyState::Signing, at(0))];
        let due = at_once(&keys, &policy(), Haste::Ahead);
        assert_eq!(due, [KeyChange::Generate(KeyState::Published)]);
        apply(&mut keys, due, at(5), &policy(), &mut 0);
        assert_eq!(at_once(&keys, &policy(), Haste::Ahead), []);
        assert_eq!(plan_at(&keys, 24), []);
        let due = [
            keys[0].to(KeyState::VerifyOnly),
            keys[1].to(KeyState::Signing),
        ];
        assert_eq!(plan_at(&keys, 25), due, "long before its usual time");
    }

    #[test]
    fn in_haste_the_next_key_signs_now_and_the_former_one_verifies_on() {
        let alone = [key("a", KeyState::Signing, at(0))];
        let retired = alone[0].to(KeyState::VerifyOnly);
        let due = at_once(&alone, &policy(), Haste::Now);
        assert_eq!(
            due,
            [retired.clone(), KeyChange::Generate(KeyState::Signing)]
        );
        let with_next = [alone[0].clone(), key("b", KeyState::Published, at(1))];
        let due = at_once(&with_next, &policy(), Haste::Now);
        assert_eq!(due, [retired, with_next[1].to(KeyState::Signing)]);
    }

    #[test]
    fn after_a_leak_nothing_is_left_of_what_lay_beside_it() {
        let keys = [
            key("a", KeyState::Signing, at(0)),
            key("b", KeyState::Published, at(1)),
            key("c", KeyState::VerifyOnly, at(1)),
        ];
        let mut left = keys.to_vec();
        let due = at_once(&keys, &policy(), Haste::Leaked);
        apply(&mut left, due, at(2), &policy(), &mut 0);
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].state, KeyState::Signing);
    }

    /// Row E12: the JWKS shows the next key before it signs, and the old one as long as its tokens live.
    #[test]
    fn e12_the_next_key_is_shown_for_the_cache_max_age_and_the_old_one_for_a_tokens_life() {
        let policy = RotationPolicy::default();
        assert!(policy.publish_ahead >= JWKS_MAX_AGE + JWKS_MAX_AGE);
        assert!(policy.verify_only_for >= ACCESS_TTL + LEEWAY);
        let long = RotationPolicy::for_tokens_of(SignedDuration::from_hours(24));
        assert!(long.verify_only_for >= SignedDuration::from_hours(24) + LEEWAY);
    }

    fn apply(
        keys: &mut Vec<KeyRecord>,
        changes: Vec<KeyChange>,
        now: Timestamp,
        policy: &RotationPolicy,
        made: &mut u32,
    ) {
        for change in changes {
            match change {
                KeyChange::Generate(state) => {
                    *made += 1;
                    keys.push(KeyRecord {
                        algorithm: policy.algorithm,
                        ..key(&format!("{made:06}"), state, now)
                    });
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
            waits in prop::collection::vec((1i64..200, 0u8..40), 1..200),
        ) {
            let (mut keys, mut now, mut made) = (Vec::new(), at(0), 0);
            let mut policy = policy();
            // (kid, until when its token must verify)
            let mut tokens: Vec<(String, Timestamp)> = Vec::new();
            let mut published: Vec<(String, Timestamp)> = Vec::new();
            for (wait, chance) in waits {
                now += SignedDuration::from_mins(wait);
                // Now and then somebody changes the setting, or asks for a rotation.
                policy.algorithm = match chance {
                    0 => SigningAlgorithm::EdDsa,
                    1 => SigningAlgorithm::Es256,
                    2 => SigningAlgorithm::Rs256,
                    _ => policy.algorithm,
                };
                if chance == 3 && !keys.is_empty() {
                    let due = at_once(&keys, &policy, Haste::Ahead);
                    apply(&mut keys, due, now, &policy, &mut made);
                }
                let due = plan(&keys, now, &policy);
                apply(&mut keys, due, now, &policy, &mut made);

                let signing: Vec<_> = in_state(&keys, KeyState::Signing).collect();
                prop_assert_eq!(signing.len(), 1);
                prop_assert!(keys.len() <= 7, "{:?}", keys);
                prop_assert_eq!(plan(&keys, now, &policy), vec![], "a plan is complete");
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
