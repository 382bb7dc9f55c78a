//! What every consumer's store must do.

mod operator;
mod turn;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use stanchion_messaging::{
    AfterLastAttempt, ConsumerStore, LogId, Mark, Message, Metadata, Origin, Parked, ParkedState,
    Place, Position,
};
use stanchion_runtime::{clock, id, random};
use uuid::Uuid;

use self::operator::{
    a_message_is_found_by_its_id_however_many_are_older,
    only_dead_letters_are_redriven_or_discarded, the_operator_sees_what_was_asked_for_oldest_first,
    what_died_long_ago_is_found_however_many_failed_before_it_and_died_since,
    what_waits_is_withdrawn_unless_an_attempt_at_it_is_under_way,
};
use self::turn::{
    a_key_that_goes_on_does_not_wait_behind_its_dead_letter,
    an_unknown_message_is_found_whatever_its_contract_is_called,
    an_unknown_message_waits_for_a_handler_and_later_ones_of_its_key_behind_it,
    only_the_oldest_of_a_key_is_due_and_none_behind_a_dead_one,
    only_what_is_due_is_due_and_the_earliest_first,
    that_an_attempt_is_under_way_is_told_until_somebody_tells_how_it_ended,
    what_comes_next_of_a_key_is_its_oldest_if_that_is_due,
    what_is_due_later_than_any_wait_lasts_is_found_unless_it_is_delayed,
    what_is_noted_of_a_message_stays_whatever_is_tried_and_said_since,
};
use super::{Case, cases, run_all};

type Store = Arc<dyn ConsumerStore>;

const CASES: &[Case<Store>] = cases![
    whether_it_takes_writes_is_told_without_a_trace,
    progress_moves_forward_only_and_a_log_at_a_time,
    processes_that_begin_at_one_place_are_counted_until_one_begins_elsewhere,
    a_parked_message_blocks_its_key_until_it_is_resolved,
    the_keys_that_have_parked_messages_are_told_while_they_are_few,
    a_message_comes_back_as_it_went,
    only_what_is_due_is_due_and_the_earliest_first,
    only_the_oldest_of_a_key_is_due_and_none_behind_a_dead_one,
    what_is_due_later_than_any_wait_lasts_is_found_unless_it_is_delayed,
    what_comes_next_of_a_key_is_its_oldest_if_that_is_due,
    parking_again_updates_and_keeps_the_place,
    a_retry_updates_only_what_is_still_there,
    that_an_attempt_is_under_way_is_told_until_somebody_tells_how_it_ended,
    what_is_noted_of_a_message_stays_whatever_is_tried_and_said_since,
    the_operator_sees_what_was_asked_for_oldest_first,
    a_message_is_found_by_its_id_however_many_are_older,
    what_died_long_ago_is_found_however_many_failed_before_it_and_died_since,
    only_dead_letters_are_redriven_or_discarded,
    what_waits_is_withdrawn_unless_an_attempt_at_it_is_under_way,
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
        under_way: false,
        note: None,
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

async fn whether_it_takes_writes_is_told_without_a_trace(store: Store) {
    store.park(&retry("a", 0)).await.unwrap();
    for _ in 0..2 {
        store.takes_writes(CONSUMER).await.unwrap();
    }
    let counts = store.counts(CONSUMER).await.unwrap();
    assert_eq!(counts, [(ParkedState::Retry, 1)]);
    let keys = store.parked_keys(CONSUMER, 10).await.unwrap();
    assert_eq!(keys.as_deref(), Some(&["a".to_owned()][..]));
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

async fn processes_that_begin_at_one_place_are_counted_until_one_begins_elsewhere(store: Store) {
    let (one, two) = (LogId(Uuid::from_u128(1)), LogId(Uuid::from_u128(2)));
    let begins = async |consumer: &'static str, log, after| {
        let begun = store.begins(consumer, log, Position(after)).await;
        begun.unwrap()
    };
    for before in 0..3 {
        assert_eq!(begins(CONSUMER, one, 0).await, before);
    }
    assert_eq!(begins("other", one, 0).await, 0);
    assert_eq!(begins(CONSUMER, two, 0).await, 0);
    for (after, before) in [(5, 0), (5, 1), (0, 0)] {
        assert_eq!(begins(CONSUMER, one, after).await, before);
    }
    // What ends in good order counts no more, and only at its place.
    let ends = async |after| store.ends(CONSUMER, one, Position(after)).await.unwrap();
    for after in [0, 5, 0] {
        ends(after).await;
    }
    for before in 0..2 {
        assert_eq!(begins(CONSUMER, one, 0).await, before);
    }
    ends(5).await;
    ends(0).await;
    assert_eq!(begins(CONSUMER, one, 0).await, 1);
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
