//! What every consumer's store must do.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use stanchion_messaging::{
    AfterLastAttempt, ConsumerStore, Contract, DeadLetterFilter, LogId, Mark, Message, Metadata,
    Origin, Parked, ParkedState, Place, Position,
};
use stanchion_runtime::{clock, id, random};
use uuid::Uuid;

use super::{Case, cases, run_all};

type Store = Arc<dyn ConsumerStore>;

const CASES: &[Case<Store>] = cases![
    progress_moves_forward_only_and_a_log_at_a_time,
    a_parked_message_blocks_its_key_until_it_is_resolved,
    the_keys_that_have_parked_messages_are_told_while_they_are_few,
    a_message_comes_back_as_it_went,
    only_what_is_due_is_due_and_the_earliest_first,
    only_the_oldest_of_a_key_is_due_and_none_behind_a_dead_one,
    what_is_due_later_than_any_wait_lasts_is_found_unless_it_is_delayed,
    parking_again_updates_and_keeps_the_place,
    a_retry_updates_only_what_is_still_there,
    the_operator_sees_what_was_asked_for_oldest_first,
    a_message_is_found_by_its_id_however_many_are_older,
    what_died_long_ago_is_found_however_many_failed_before_it_and_died_since,
    only_dead_letters_are_redriven_or_discarded,
    marks_move_forward_only_and_a_line_at_a_time,
    a_key_that_goes_on_does_not_wait_behind_its_dead_letter,
    an_unknown_message_waits_for_a_handler_and_later_ones_of_its_key_behind_it,
    an_unknown_message_is_found_whatever_its_contract_is_called,
    what_is_parked_is_counted_by_state,
    whatever_a_message_and_a_reason_hold_they_are_put_aside_and_come_back,
];

/// Runs every case, each on a fresh and empty store.
///
/// # Panics
/// At the first case that fails.
pub async fn run(fresh: impl AsyncFn() -> Store) {
    run_all("consumer store", CASES, fresh).await;
}

const CONSUMER: &str = "fulfilment";
const WAITS: AfterLastAttempt = AfterLastAttempt::KeyWaits;
const GOES_ON: AfterLastAttempt = AfterLastAttempt::KeyGoesOn;

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a second of this century")
}

fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

fn parked(key: &str, state: ParkedState, due_in: i64) -> Parked {
    Parked {
        consumer: CONSUMER.into(),
        message: Message {
            id: id::new_v7(),
            contract: "orders.order_placed.v1".into(),
            key: key.into(),
            payload: json!({"order": "ü", "n": [1, null]}),
            origin: Origin {
                log: LogId(Uuid::from_u128(9)),
                position: Position(4),
            },
            metadata: Metadata::new(Some("tester".into())),
            at: clock::now(),
        },
        state,
        attempts: 1,
        due_at: after(due_in),
        reason: "refused".into(),
        parked_at: clock::now(),
    }
}

fn retry(key: &str, due_in: i64) -> Parked {
    parked(key, ParkedState::Retry, due_in)
}

async fn due(store: &Store, now: i64) -> Vec<Uuid> {
    let found = store.due(CONSUMER, after(now), WAITS, 100).await.unwrap();
    found.iter().map(|one| one.message.id).collect()
}

async fn progress_moves_forward_only_and_a_log_at_a_time(store: Store) {
    let (one, two) = (LogId(Uuid::from_u128(1)), LogId(Uuid::from_u128(2)));
    assert!(store.progress(CONSUMER).await.unwrap().is_empty());
    let place = |position| Place {
        position: Position(position),
        event: Some(Uuid::from_u128(position as u128)),
    };
    for (log, to) in [(one, 5), (two, 2), (one, 3)] {
        store.advance(CONSUMER, log, place(to)).await.unwrap();
    }
    store.advance("other", one, place(9)).await.unwrap();
    // One that was kept before events were remembered.
    let bare = Place {
        event: None,
        ..place(7)
    };
    store.advance("older", one, bare).await.unwrap();
    assert_eq!(store.progress("older").await.unwrap()[&one], bare);
    let progress = store.progress(CONSUMER).await.unwrap();
    assert_eq!(progress.len(), 2);
    assert_eq!((progress[&one], progress[&two]), (place(5), place(2)));
}

async fn a_parked_message_blocks_its_key_until_it_is_resolved(store: Store) {
    let first = retry("a", 0);
    store.park(&first).await.unwrap();
    store
        .park(&parked("c", ParkedState::Dead, 0))
        .await
        .unwrap();
    let blocked = async |consumer| {
        let mut keys = store
            .blocked(consumer, &["a", "b", "c"], WAITS)
            .await
            .unwrap();
        keys.sort();
        keys
    };
    assert_eq!(blocked(CONSUMER).await, ["a", "c"]);
    assert!(blocked("other").await.is_empty());
    store.resolve(CONSUMER, first.message.id).await.unwrap();
    assert_eq!(blocked(CONSUMER).await, ["c"]);
}

async fn the_keys_that_have_parked_messages_are_told_while_they_are_few(store: Store) {
    let keys = async |consumer, limit| {
        let keys = store.parked_keys(consumer, limit).await.unwrap();
        keys.map(|mut keys| {
            keys.sort();
            keys
        })
    };
    assert_eq!(keys(CONSUMER, 2).await, Some(Vec::new()));
    let first = retry("a", 0);
    for one in [&first, &retry("a", 0), &parked("c", ParkedState::Dead, 0)] {
        store.park(one).await.unwrap();
    }
    assert_eq!(keys(CONSUMER, 2).await.unwrap(), ["a", "c"]);
    assert_eq!(keys(CONSUMER, 1).await, None);
    assert_eq!(keys("other", 1).await, Some(Vec::new()));
    store.resolve(CONSUMER, first.message.id).await.unwrap();
    assert_eq!(keys(CONSUMER, 2).await.unwrap(), ["a", "c"]);
    // Who cannot tell which key it is says so.
    let long = "k".repeat(4_096);
    store.park(&retry(&long, 0)).await.unwrap();
    let known = keys(CONSUMER, 3).await;
    assert!(known.is_none_or(|keys| keys.contains(&long)));
}

async fn a_message_comes_back_as_it_went(store: Store) {
    let one = retry("a", 0);
    store.park(&one).await.unwrap();
    assert_eq!(
        store.due(CONSUMER, after(0), WAITS, 10).await.unwrap(),
        [one]
    );
}

async fn only_what_is_due_is_due_and_the_earliest_first(store: Store) {
    let (late, early, future) = (retry("a", 2), retry("b", 1), retry("c", 60));
    for one in [&late, &early, &future] {
        store.park(one).await.unwrap();
    }
    assert_eq!(due(&store, 2).await, [early.message.id, late.message.id]);
    assert_eq!(
        store
            .due(CONSUMER, after(90), WAITS, 2)
            .await
            .unwrap()
            .len(),
        2
    );
    assert!(
        store
            .due("other", after(90), WAITS, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn only_the_oldest_of_a_key_is_due_and_none_behind_a_dead_one(store: Store) {
    let (first, second) = (retry("a", 5), retry("a", 0));
    let (dead, behind) = (parked("b", ParkedState::Dead, 0), retry("b", 0));
    for one in [&first, &second, &dead, &behind] {
        store.park(one).await.unwrap();
    }
    assert!(
        due(&store, 1).await.is_empty(),
        "a later message overtook one of its key"
    );
    assert_eq!(due(&store, 5).await, [first.message.id]);
    store.resolve(CONSUMER, first.message.id).await.unwrap();
    assert_eq!(due(&store, 5).await, [second.message.id]);
    assert!(store.discard(CONSUMER, dead.message.id).await.unwrap());
    assert_eq!(due(&store, 5).await.len(), 2);
}

/// What a consumer reminds itself of.
#[derive(Serialize, Deserialize)]
struct Reminder {}

impl Contract for Reminder {
    const NAME: &'static str = "orders.reminder.v1";

    fn key(&self) -> String {
        String::new()
    }
}

async fn what_is_due_later_than_any_wait_lasts_is_found_unless_it_is_delayed(store: Store) {
    let [first, behind, other] =
        [("a", 7_200), ("a", 7_300), ("b", 7_100)].map(|it| retry(it.0, it.1));
    let (soon, dead) = (retry("c", 60), parked("d", ParkedState::Dead, 7_200));
    for one in [&first, &behind, &other, &soon, &dead] {
        store.park(one).await.unwrap();
    }
    let (id, metadata) = (id::new_v7(), Metadata::new(None));
    let delayed = Parked::delayed(CONSUMER, &Reminder {}, id, after(7_200), &metadata).unwrap();
    store.wait_behind(&delayed).await.unwrap();
    assert!(delayed.is_delayed() && !first.is_delayed());
    let beyond = async |end, limit| -> Vec<Uuid> {
        let found = store.due_beyond(CONSUMER, after(end), WAITS, limit).await;
        found.unwrap().iter().map(|one| one.message.id).collect()
    };
    let ids = [other.message.id, first.message.id];
    assert_eq!(beyond(3_600, 10).await, ids);
    assert_eq!(beyond(3_600, 1).await, ids[..1]);
    assert_eq!(beyond(7_100, 10).await, ids[1..]);
    assert!(due(&store, 0).await.is_empty());
}

async fn parking_again_updates_and_keeps_the_place(store: Store) {
    let (first, second) = (retry("a", 0), retry("a", 0));
    store.park(&first).await.unwrap();
    store.park(&second).await.unwrap();
    let again = Parked {
        attempts: 2,
        due_at: after(9),
        reason: "again".into(),
        ..first.clone()
    };
    store.park(&again).await.unwrap();
    assert!(due(&store, 8).await.is_empty());
    let found = store.due(CONSUMER, after(9), WAITS, 10).await.unwrap();
    assert_eq!(
        (found.len(), found[0].attempts, found[0].reason.as_str()),
        (1, 2, "again")
    );
}

async fn a_retry_updates_only_what_is_still_there(store: Store) {
    let first = retry("a", 0);
    store.park(&first).await.unwrap();
    let again = Parked {
        attempts: 2,
        due_at: after(9),
        ..first.clone()
    };
    assert!(store.park_again(&again).await.unwrap());
    assert!(due(&store, 8).await.is_empty());
    store.resolve(CONSUMER, first.message.id).await.unwrap();
    assert!(!store.park_again(&again).await.unwrap());
    assert!(due(&store, 9).await.is_empty());
}

async fn the_operator_sees_what_was_asked_for_oldest_first(store: Store) {
    let oldest = Parked {
        parked_at: after(-9),
        ..parked("a", ParkedState::Dead, 0)
    };
    let newest = Parked {
        parked_at: after(-1),
        ..retry("b", 0)
    };
    let foreign = Parked {
        consumer: "other".into(),
        parked_at: after(-5),
        ..retry("c", 0)
    };
    for one in [&newest, &foreign, &oldest] {
        store.park(one).await.unwrap();
    }
    let list = async |consumer: Option<&str>, state, limit| -> Vec<Uuid> {
        let filter = DeadLetterFilter {
            consumer: consumer.map(str::to_owned),
            state,
            limit,
        };
        store
            .list(&filter)
            .await
            .unwrap()
            .iter()
            .map(|one| one.message.id)
            .collect()
    };
    let ids = [oldest.message.id, foreign.message.id, newest.message.id];
    assert_eq!(list(None, None, 10).await, ids);
    assert_eq!(list(None, None, 1).await, ids[..1]);
    assert_eq!(list(Some(CONSUMER), None, 10).await, [ids[0], ids[2]]);
    assert_eq!(list(None, Some(ParkedState::Dead), 10).await, ids[..1]);
}

async fn a_message_is_found_by_its_id_however_many_are_older(store: Store) {
    for _ in 0..1_000 {
        let older = parked("a", ParkedState::Retry, 60);
        store.park(&older).await.unwrap();
    }
    let last = parked("b", ParkedState::Dead, 0);
    let others = Parked {
        consumer: "other".into(),
        ..last.clone()
    };
    for one in [&last, &others] {
        store.park(one).await.unwrap();
    }
    let everything = DeadLetterFilter {
        limit: usize::MAX,
        ..DeadLetterFilter::default()
    };
    let listed = store.list(&everything).await.unwrap();
    assert!(listed.iter().all(|it| it.message.id != last.message.id));
    let found = store.find(last.message.id).await.unwrap();
    assert_eq!(found, [last, others]);
    assert!(store.find(Uuid::from_u128(3)).await.unwrap().is_empty());
}

async fn what_died_long_ago_is_found_however_many_failed_before_it_and_died_since(store: Store) {
    for _ in 0..1_000 {
        // Redriven, and dead again.
        let again = Parked {
            parked_at: after(-90),
            ..parked("a", ParkedState::Dead, 60)
        };
        store.park(&again).await.unwrap();
    }
    let longer_ago = Parked {
        consumer: "other".into(),
        parked_at: after(-1),
        ..parked("b", ParkedState::Dead, 0)
    };
    let long_ago = Parked {
        parked_at: after(-5),
        ..parked("c", ParkedState::Dead, 1)
    };
    let unknown = parked("d", ParkedState::Unknown, 0);
    for one in [&long_ago, &longer_ago, &unknown, &retry("e", 0)] {
        store.park(one).await.unwrap();
    }
    let dead_before = async |before, limit| store.dead_before(after(before), limit).await.unwrap();
    let both = [longer_ago, long_ago];
    assert_eq!(dead_before(60, 10).await, both);
    assert_eq!(dead_before(60, 1).await, both[..1]);
    assert_eq!(dead_before(1, 10).await, both[..1]);
    assert!(dead_before(0, 10).await.is_empty());
}

async fn only_dead_letters_are_redriven_or_discarded(store: Store) {
    let (dead, alive) = (parked("a", ParkedState::Dead, 0), retry("b", 60));
    store.park(&dead).await.unwrap();
    store.park(&alive).await.unwrap();
    for id in [alive.message.id, Uuid::from_u128(3)] {
        assert!(!store.redrive(CONSUMER, id, after(0)).await.unwrap());
        assert!(!store.discard(CONSUMER, id).await.unwrap());
    }
    assert!(
        store
            .redrive(CONSUMER, dead.message.id, after(1))
            .await
            .unwrap()
    );
    let found = store.due(CONSUMER, after(1), WAITS, 10).await.unwrap();
    assert_eq!(
        (found.len(), found[0].message.id, found[0].attempts),
        (1, dead.message.id, 0)
    );
    assert!(
        !store.discard(CONSUMER, dead.message.id).await.unwrap(),
        "it is alive again"
    );
    assert!(
        !store
            .redrive("other", dead.message.id, after(1))
            .await
            .unwrap()
    );
}

async fn marks_move_forward_only_and_a_line_at_a_time(store: Store) {
    let mark = |partition, family: &str, position, ahead: Option<i64>| Mark {
        log: LogId(Uuid::from_u128(1)),
        partition,
        family: family.into(),
        position: Position(position),
        ahead: ahead.map(Position),
    };
    assert!(store.marks(CONSUMER).await.unwrap().is_empty());
    store.settle(CONSUMER, &[]).await.unwrap();
    let first = [mark(1, "a.b", 5, None), mark(2, "a.b", 5, Some(9))];
    store.settle(CONSUMER, &first).await.unwrap();
    store
        .settle("other", &[mark(1, "a.b", 99, None)])
        .await
        .unwrap();
    let second = [
        mark(1, "a.b", 3, None),
        mark(2, "a.b", 9, None),
        mark(1, "a.c", 1, None),
    ];
    store.settle(CONSUMER, &second).await.unwrap();
    // A hole is found where it stands.
    store
        .settle(CONSUMER, &[mark(1, "a.c", 1, Some(4))])
        .await
        .unwrap();
    let mut marks = store.marks(CONSUMER).await.unwrap();
    marks.sort_by_key(|mark| (mark.family.clone(), mark.partition));
    let expected = [
        mark(1, "a.b", 5, None),
        mark(2, "a.b", 9, None),
        mark(1, "a.c", 1, Some(4)),
    ];
    assert_eq!(marks, expected);
}

async fn a_key_that_goes_on_does_not_wait_behind_its_dead_letter(store: Store) {
    let (dead, behind) = (parked("a", ParkedState::Dead, 0), retry("a", 0));
    store.park(&dead).await.unwrap();
    assert!(
        store
            .blocked(CONSUMER, &["a"], GOES_ON)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.blocked(CONSUMER, &["a"], WAITS).await.unwrap(), ["a"]);
    store.park(&behind).await.unwrap();
    assert_eq!(
        store.blocked(CONSUMER, &["a"], GOES_ON).await.unwrap(),
        ["a"]
    );
    assert!(due(&store, 0).await.is_empty());
    let found = store.due(CONSUMER, after(0), GOES_ON, 10).await.unwrap();
    assert_eq!(found, [behind]);
}

async fn an_unknown_message_waits_for_a_handler_and_later_ones_of_its_key_behind_it(store: Store) {
    let (unknown, behind) = (parked("a", ParkedState::Unknown, 0), retry("a", 0));
    store.park(&unknown).await.unwrap();
    store.park(&behind).await.unwrap();
    assert!(due(&store, 9).await.is_empty());
    assert_eq!(
        store.blocked(CONSUMER, &["a"], GOES_ON).await.unwrap(),
        ["a"]
    );
    let known = async |contracts: &[&str]| {
        let known = store.unknown(CONSUMER, contracts, WAITS, 10).await;
        known.unwrap()
    };
    assert!(known(&[]).await.is_empty());
    assert!(known(&["orders.order_placed.v2"]).await.is_empty());
    let found = known(&["x.y.v1", "orders.order_placed.v1"]).await;
    assert_eq!(found, std::slice::from_ref(&unknown));
    store.resolve(CONSUMER, unknown.message.id).await.unwrap();
    assert_eq!(due(&store, 9).await, [behind.message.id]);
    // An operator may give one up.
    store
        .park(&parked("b", ParkedState::Unknown, 0))
        .await
        .unwrap();
    let found = known(&["orders.order_placed.v1"]).await;
    assert!(
        !store
            .redrive(CONSUMER, found[0].message.id, after(0))
            .await
            .unwrap()
    );
    assert!(store.discard(CONSUMER, found[0].message.id).await.unwrap());
}

async fn an_unknown_message_is_found_whatever_its_contract_is_called(store: Store) {
    for contract in ["a \"quoted\" name.v1", "back\\slash.v1", "nul\0.v1"] {
        let mut one = parked("a", ParkedState::Unknown, 0);
        one.message.contract = contract.into();
        // A text that looks like a contract stands before it for whoever searches the message as text.
        one.message.payload = json!({ "\"contract\":\"x.y.v1\"": 1, "contract": "x.y.v1" });
        store.park(&one).await.unwrap();
        let known = async |contracts: &[&str]| {
            let known = store.unknown(CONSUMER, contracts, WAITS, 10).await;
            known.unwrap()
        };
        assert!(known(&["x.y.v1"]).await.is_empty(), "{contract:?}");
        if !contract.contains('\0') {
            assert_eq!(known(&[contract]).await, std::slice::from_ref(&one));
        }
        store.resolve(CONSUMER, one.message.id).await.unwrap();
    }
}

async fn what_is_parked_is_counted_by_state(store: Store) {
    for one in [
        retry("a", 0),
        retry("b", 0),
        parked("c", ParkedState::Dead, 0),
    ] {
        store.park(&one).await.unwrap();
    }
    let mut counts = store.counts(CONSUMER).await.unwrap();
    counts.sort_by_key(|(_, count)| *count);
    assert_eq!(counts, [(ParkedState::Dead, 1), (ParkedState::Retry, 2)]);
    assert!(store.counts("other").await.unwrap().is_empty());
}

async fn whatever_a_message_and_a_reason_hold_they_are_put_aside_and_come_back(store: Store) {
    // Nothing that a store could make shorter.
    let letters = random::bytes::<8192>().map(|byte| char::from(b'!' + byte % 90));
    let long = String::from_iter(letters);
    // As deep as what a log holds can be read.
    let deep = (0..126).fold(json!(1), |inner, _| json!([inner]));
    for key in ["", "a\0b", "\u{10ffff}'\"\\", long.as_str()] {
        let mut one = parked(key, ParkedState::Unknown, 0);
        one.message.payload = json!({"text": "\u{0}", "contract": "x.y.v1", "deep": deep});
        one.reason = format!("no name: a\0b, {long}");
        store.park(&one).await.unwrap();
        let behind = retry(key, 0);
        store.wait_behind(&behind).await.unwrap();
        let blocked = store.blocked(CONSUMER, &["other", key], WAITS).await;
        assert_eq!(blocked.unwrap(), [key]);
        let contracts = ["orders.order_placed.v1"];
        let known = store.unknown(CONSUMER, &contracts, WAITS, 10).await;
        let known = known.unwrap();
        assert_eq!(known.len(), 1, "{key:?}");
        assert_eq!(known[0].message, one.message);
        assert!(known[0].reason.starts_with("no name: a"));
        one.state = ParkedState::Retry;
        assert!(store.park_again(&one).await.unwrap());
        assert_eq!(due(&store, 0).await, [one.message.id]);
        store.resolve(CONSUMER, one.message.id).await.unwrap();
        assert_eq!(due(&store, 0).await, [behind.message.id]);
        store.resolve(CONSUMER, behind.message.id).await.unwrap();
    }
}
