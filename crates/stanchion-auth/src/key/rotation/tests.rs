//! What is due, step by step and over many lives.

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
