use proptest::prelude::*;
use secrecy::SecretString;
use uuid::Uuid;

use super::*;
use crate::refresh::Child;

fn millis(millis: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_millis(millis)
}

fn signer(of: char) -> Signer {
    Signer::new(&SecretString::from(of.to_string().repeat(32))).unwrap()
}

fn ten_seconds() -> Overlap {
    Overlap::of(OVERLAP_MAX, &signer('a'))
}

/// Rows as a store keeps them: the rotation marks and inserts in one step.
struct Store {
    overlap: Overlap,
    family: Family,
    rows: Vec<(RefreshRow, Option<Nonce>, Option<Timestamp>)>,
    tokens: Vec<RefreshToken>,
    now: Timestamp,
}

impl Store {
    fn of(overlap: Overlap) -> Self {
        let (family, token, row) =
            Family::begin(Uuid::from_u128(1), millis(0), &Lifetimes::default());
        Self {
            overlap,
            family,
            rows: vec![(row, None, None)],
            tokens: vec![token],
            now: millis(0),
        }
    }

    fn used(&self, generation: usize) -> Option<Use> {
        let (child, nonce, _) = self.rows.get(generation + 1)?;
        Some(Use {
            at: self.rows[generation].2?,
            child: child.hash,
            child_state: child.state,
            nonce: *nonce,
        })
    }

    fn present(&mut self, generation: usize) -> Decision {
        let row = self.rows[generation].0.clone();
        let used = self.used(generation);
        let lifetimes = Lifetimes::default();
        let decision = self.overlap.decide(
            Some(&row),
            Some(&self.family),
            used.as_ref(),
            self.now,
            &lifetimes,
        );
        match &decision {
            Decision::Rotate(child) => self.rotate(generation, child),
            Decision::RevokeFamily => self.family.revoked_at = Some(self.now),
            _ => {}
        }
        decision
    }

    fn rotate(&mut self, generation: usize, child: &Child) {
        let (row, nonce, used_at) = &mut self.rows[generation];
        let (token, next) = self.overlap.child_of(&row.hash);
        row.state = RefreshState::Used;
        (*nonce, *used_at) = (None, Some(self.now));
        self.rows.push((child.row_of(&token), next, None));
        self.tokens.push(token);
    }

    fn after(&mut self, millis: i64) -> &mut Self {
        self.now += SignedDuration::from_millis(millis);
        self
    }
}

#[test]
fn a_second_use_in_time_gets_the_same_child_however_often() {
    let mut store = Store::of(ten_seconds());
    assert!(matches!(store.present(0), Decision::Rotate(_)));
    let child = store.tokens[1].clone();
    for _ in 0..3 {
        assert_eq!(
            store.after(3_000).present(0),
            Decision::Again(child.clone())
        );
    }
    assert_eq!(store.rows.len(), 2, "nothing was written for it");
    assert!(matches!(store.present(1), Decision::Rotate(_)));
}

#[test]
fn the_time_ends_to_the_millisecond_and_then_it_is_a_reuse() {
    let mut store = Store::of(Overlap::of(
        SignedDuration::from_millis(1_500),
        &signer('a'),
    ));
    store.present(0);
    assert!(matches!(store.after(1_499).present(0), Decision::Again(_)));
    assert_eq!(store.after(1).present(0), Decision::RevokeFamily);
    assert_eq!(store.present(1), Decision::Revoked);
}

#[test]
fn a_grandparent_revokes_within_the_same_moment() {
    let mut store = Store::of(ten_seconds());
    store.present(0);
    store.present(1);
    assert!(
        matches!(store.present(1), Decision::Again(_)),
        "the one before"
    );
    assert_eq!(store.present(0), Decision::RevokeFamily);
    assert_eq!(
        store.present(1),
        Decision::Revoked,
        "and it ends the overlap"
    );
}

#[test]
fn without_an_overlap_the_same_moment_is_a_reuse() {
    for overlap in [
        Overlap::none(),
        Overlap::of(SignedDuration::ZERO, &signer('a')),
    ] {
        let mut store = Store::of(overlap);
        store.present(0);
        assert_eq!(store.rows[1].1, None, "no nonce is kept");
        assert_eq!(store.present(0), Decision::RevokeFamily);
    }
}

#[test]
fn a_longer_one_than_ten_seconds_is_not_to_be_had() {
    let overlap = Overlap::of(SignedDuration::from_hours(1), &signer('a'));
    assert_eq!(overlap.window(), OVERLAP_MAX);
    let mut store = Store::of(overlap);
    store.present(0);
    assert_eq!(store.after(10_000).present(0), Decision::RevokeFamily);
}

#[test]
fn a_clock_that_was_set_back_opens_no_longer_window() {
    let mut store = Store::of(ten_seconds());
    store.after(60_000).present(0);
    assert!(matches!(store.after(-9_999).present(0), Decision::Again(_)));
    assert_eq!(store.after(-1).present(0), Decision::RevokeFamily);
}

#[test]
fn a_child_of_another_secret_or_made_at_random_is_not_given_again() {
    let mut store = Store::of(ten_seconds());
    store.present(0);
    store.overlap = Overlap::of(OVERLAP_MAX, &signer('b'));
    assert_eq!(store.present(0), Decision::RevokeFamily);

    let mut store = Store::of(Overlap::none());
    store.present(0);
    store.overlap = ten_seconds();
    assert_eq!(store.present(0), Decision::RevokeFamily);
}

#[test]
fn what_the_store_keeps_makes_no_token() {
    let parent = RefreshToken::generate().hash();
    let (one, nonce) = ten_seconds().child_of(&parent);
    let (other, _) = ten_seconds().child_of(&parent);
    assert_ne!(one, other, "another nonce");
    let again = derived(ten_seconds().key.as_ref().unwrap(), &parent, nonce.unwrap());
    assert_eq!(one, again);
    let stranger = Overlap::of(OVERLAP_MAX, &signer('b'));
    let forged = derived(stranger.key.as_ref().unwrap(), &parent, nonce.unwrap());
    assert_ne!(one, forged);
    assert_eq!(RefreshToken::parse(one.expose()), Some(one));
}

#[test]
fn nonce_key_and_child_do_not_print_themselves() {
    let (child, nonce) = ten_seconds().child_of(&RefreshToken::generate().hash());
    let shown = format!(
        "{:?} {nonce:?} {:?}",
        ten_seconds(),
        Decision::Again(child.clone())
    );
    assert!(shown.starts_with("Overlap(PT10S) Some(Nonce(***))"));
    assert!(!shown.contains(&child.expose()[3..]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whoever presents whatever whenever: the line never forks, and an answer to a token never changes.
    #[test]
    fn each_token_has_one_child_and_only_the_last_but_one_is_answered_again(
        steps in prop::collection::vec((0usize..4, 0i64..8_000), 1..60),
    ) {
        let mut store = Store::of(ten_seconds());
        for (back, wait) in steps {
            let last = store.rows.len() - 1;
            let generation = last.saturating_sub(back);
            let revoked = store.family.revoked_at.is_some();
            match store.after(wait).present(generation) {
                Decision::Rotate(_) => prop_assert!(!revoked && generation == last),
                Decision::Again(child) => {
                    prop_assert!(!revoked && generation + 1 == last);
                    prop_assert_eq!(&child, &store.tokens[last]);
                    let used = store.rows[generation].2.unwrap();
                    prop_assert!(store.now.duration_since(used) < OVERLAP_MAX);
                }
                Decision::RevokeFamily => prop_assert!(!revoked && generation < last),
                Decision::Revoked => prop_assert!(revoked),
                other => prop_assert!(false, "{:?}", other),
            }
            let live = store.rows.iter().filter(|(row, ..)| row.state == RefreshState::Live);
            prop_assert_eq!(live.count(), 1);
            prop_assert!(store.rows[..store.rows.len() - 1].iter().all(|(_, nonce, _)| nonce.is_none()));
        }
    }
}
