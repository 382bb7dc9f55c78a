use proptest::prelude::*;

use super::*;

fn at(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
}

fn begin() -> (Family, RefreshToken, RefreshRow) {
    Family::begin(Uuid::from_u128(1), at(0), &Lifetimes::default())
}

fn decided(row: &RefreshRow, family: &Family, hours: i64) -> Decision {
    decide(Some(row), Some(family), at(hours), &Lifetimes::default())
}

fn rotated(row: &RefreshRow, family: &Family, hours: i64) -> (RefreshToken, RefreshRow) {
    match decided(row, family, hours) {
        Decision::Rotate(child) => child.issue(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_live_token_gives_way_to_its_child() {
    let (family, token, row) = begin();
    let (next, child) = rotated(&row, &family, 1);
    assert_eq!((child.family, child.generation), (family.id, 1));
    assert_eq!(child.parent, Some(row.hash));
    assert_eq!(child.hash, next.hash());
    assert_ne!(next.expose(), token.expose());
    assert_eq!(child.expires_at, at(1) + IDLE_TTL);
}

#[test]
fn a_used_token_revokes_its_family_even_within_the_same_second() {
    let (family, _, mut row) = begin();
    row.state = RefreshState::Used;
    assert_eq!(decided(&row, &family, 0), Decision::RevokeFamily);
    assert_eq!(decided(&row, &family, 24 * 40), Decision::RevokeFamily);
}

#[test]
fn nothing_comes_of_a_revoked_family() {
    let (mut family, _, mut row) = begin();
    family.revoked_at = Some(at(1));
    assert_eq!(decided(&row, &family, 1), Decision::Revoked);
    row.state = RefreshState::Used;
    assert_eq!(decided(&row, &family, 1), Decision::Revoked);
}

#[test]
fn an_unused_token_ends_after_seven_days_to_the_second() {
    let (family, _, row) = begin();
    let end = row.expires_at;
    assert_eq!(end, at(24 * 7));
    let before = end - SignedDuration::from_secs(1);
    let lifetimes = Lifetimes::default();
    assert!(matches!(
        decide(Some(&row), Some(&family), before, &lifetimes),
        Decision::Rotate(_)
    ));
    assert_eq!(
        decide(Some(&row), Some(&family), end, &lifetimes),
        Decision::Expired
    );
}

#[test]
fn a_family_ends_after_thirty_days_however_often_it_is_used() {
    let (family, _, mut row) = begin();
    for day in 1..30 {
        row = rotated(&row, &family, day * 24).1;
        assert!(row.expires_at <= family.expires_at);
    }
    assert_eq!(row.expires_at, at(24 * 30));
    assert_eq!(decided(&row, &family, 24 * 30), Decision::Expired);
}

#[test]
fn a_token_without_row_or_with_another_family_is_unknown() {
    let (family, _, row) = begin();
    let (other, _, _) = begin();
    let lifetimes = Lifetimes::default();
    for (row, family) in [
        (None, Some(&family)),
        (Some(&row), None),
        (None, None),
        (Some(&row), Some(&other)),
    ] {
        assert_eq!(decide(row, family, at(0), &lifetimes), Decision::Unknown);
    }
}

#[test]
fn a_token_is_read_back_and_nothing_else_is() {
    let token = RefreshToken::generate();
    let text = token.expose();
    assert_eq!(text.len(), PREFIX.len() + 43);
    assert_eq!(RefreshToken::parse(text).unwrap().hash(), token.hash());
    let bare = text.strip_prefix(PREFIX).unwrap();
    for other in [
        "",
        PREFIX,
        bare,
        &format!("{text}="),
        &format!(" {text}"),
        &format!("{text}\n"),
        &format!("RT_{bare}"),
        &format!("{text}AAAA"),
        &text[..text.len() - 1],
        &"rt_".repeat(100_000),
    ] {
        assert!(RefreshToken::parse(other).is_none(), "{other:.60}");
    }
}

#[test]
fn a_token_and_its_hash_do_not_print_themselves() {
    let (family, token, row) = begin();
    let shown = format!(
        "{token:?} {row:?} {family:?} {:?}",
        decided(&row, &family, 0)
    );
    let bare = token.expose().strip_prefix(PREFIX).unwrap();
    assert!(!shown.contains(bare) && !shown.contains(&to_hex(row.hash.as_bytes())));
}

#[test]
fn a_state_is_found_by_its_name() {
    for state in [RefreshState::Live, RefreshState::Used] {
        assert_eq!(RefreshState::from_name(state.name()), Some(state));
    }
    assert_eq!(RefreshState::from_name("Live"), None);
}

/// A store as the module's documentation demands it: the rotation checks and writes in one step.
struct Store {
    family: Family,
    rows: Vec<RefreshRow>,
    now: Timestamp,
}

/// Somebody who presents a token: first looks, later acts, as replicas with slow connections do.
#[derive(Clone, Copy)]
struct Caller {
    token: RefreshHash,
    looked: bool,
}

impl Store {
    fn row(&mut self, hash: RefreshHash) -> &mut RefreshRow {
        self.rows.iter_mut().find(|row| row.hash == hash).unwrap()
    }

    /// A decision on whatever is visible now, acted on by nobody.
    fn look(&mut self, hash: RefreshHash) -> Decision {
        let row = self.row(hash).clone();
        decide(
            Some(&row),
            Some(&self.family),
            self.now,
            &Lifetimes::default(),
        )
    }

    /// The one statement, the child's insert or the revocation: one transaction.
    fn act(&mut self, hash: RefreshHash) -> Decision {
        let decision = self.look(hash);
        match &decision {
            Decision::Rotate(child) => {
                let (_, row) = child.clone().issue();
                self.row(hash).state = RefreshState::Used;
                self.rows.push(row);
            }
            Decision::RevokeFamily => self.family.revoked_at = Some(self.now),
            Decision::Again(_) | Decision::Expired | Decision::Revoked | Decision::Unknown => {}
        }
        decision
    }

    /// The tokens that would still rotate.
    fn usable(&mut self) -> usize {
        let hashes: Vec<_> = self.rows.iter().map(|row| row.hash).collect();
        hashes
            .into_iter()
            .filter(|hash| matches!(self.look(*hash), Decision::Rotate(_)))
            .count()
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// A new caller presents the token of that index.
    Present(prop::sample::Index),
    /// A waiting caller goes one step on.
    Proceed(prop::sample::Index),
    /// The user logs out.
    Logout,
    /// Time passes, perhaps none.
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<prop::sample::Index>().prop_map(Step::Present),
        8 => any::<prop::sample::Index>().prop_map(Step::Proceed),
        1 => Just(Step::Logout),
        2 => (0i64..100).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_interleaving_leaves_at_most_one_usable_token_and_none_after_a_revocation(steps in steps()) {
        let (family, _, row) = begin();
        let mut store = Store { family, rows: vec![row], now: at(0) };
        let mut callers: Vec<Caller> = Vec::new();
        let mut rotations_of = std::collections::BTreeMap::new();
        for step in steps {
            match step {
                Step::Present(which) => {
                    let token = store.rows[which.index(store.rows.len())].hash;
                    callers.push(Caller { token, looked: false });
                }
                Step::Proceed(which) if !callers.is_empty() => {
                    let at = which.index(callers.len());
                    let Caller { token, looked } = callers[at];
                    if !looked {
                        // What is seen here may be stale by the time of the act, and must not matter.
                        let _stale = store.look(token);
                        callers[at].looked = true;
                        continue;
                    }
                    callers.swap_remove(at);
                    let revoked_before = store.family.revoked_at.is_some();
                    let rows_before = store.rows.len();
                    if let Decision::Rotate(_) = store.act(token) {
                        *rotations_of.entry(token).or_insert(0) += 1;
                        prop_assert!(!revoked_before);
                    }
                    prop_assert!(!revoked_before || store.rows.len() == rows_before);
                }
                Step::Proceed(_) => {}
                Step::Logout => store.family.revoked_at = store.family.revoked_at.or(Some(store.now)),
                Step::Wait(hours) => store.now += SignedDuration::from_hours(hours),
            }
            let usable = store.usable();
            prop_assert!(usable <= 1);
            prop_assert!(store.family.revoked_at.is_none() || usable == 0);
            prop_assert!(rotations_of.values().all(|times| *times == 1), "a token rotates once");
            let live = store.rows.iter().filter(|row| row.state == RefreshState::Live).count();
            prop_assert_eq!(live, 1, "the line never forks");
            let generations: Vec<_> = store.rows.iter().map(|row| row.generation).collect();
            prop_assert!(generations.iter().copied().eq(0..store.rows.len() as u32));
        }
    }

    #[test]
    fn of_parallel_uses_of_one_token_one_wins_and_the_family_is_revoked(callers in 2usize..50) {
        let (family, _, row) = begin();
        let hash = row.hash;
        let mut store = Store { family, rows: vec![row], now: at(1) };
        let outcomes: Vec<_> = (0..callers).map(|_| store.act(hash)).collect();
        let won = outcomes.iter().filter(|outcome| matches!(outcome, Decision::Rotate(_))).count();
        prop_assert_eq!(won, 1);
        prop_assert!(store.family.revoked_at.is_some());
        prop_assert_eq!(store.usable(), 0);
    }

    #[test]
    fn any_text_is_parsed_or_refused_without_panic(text in "(rt_)?.{0,60}") {
        let _ = RefreshToken::parse(&text);
    }
}
