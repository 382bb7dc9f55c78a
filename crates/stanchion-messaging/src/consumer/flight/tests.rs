use super::*;
use crate::{Metadata, Origin};
use uuid::Uuid;

const LOG: LogId = LogId(Uuid::nil());

fn message(key: &str, position: i64) -> Message {
    Message {
        id: Uuid::from_u128(position as u128),
        contract: "x.y.v1".into(),
        key: key.into(),
        payload: serde_json::Value::Null,
        origin: Origin {
            log: LOG,
            position: Position(position),
        },
        metadata: Metadata::new(None),
        at: stanchion_runtime::clock::now(),
    }
}

fn line(partition: u16, position: i64) -> (Line, Option<Position>) {
    let line = Line {
        log: LOG,
        partition,
        family: "x.y".into(),
    };
    (line, Some(Position(position)))
}

fn deliver(flight: &mut Flight, receipt: u64, partition: u16, messages: &[(&str, i64)]) {
    let last = messages.last().map_or(0, |(_, position)| *position);
    let ending = Ending {
        receipt: Some(Receipt(receipt)),
        place: None,
        lines: vec![line(partition, last)],
        since: Instant::now(),
    };
    let messages = messages
        .iter()
        .map(|(key, position)| message(key, *position));
    let none = (HashSet::new(), HashSet::new());
    flight.admit(messages.collect(), ending, &none.0, &none.1);
}

fn begun(flight: &mut Flight) -> Vec<(i64, bool)> {
    let next = std::iter::from_fn(|| flight.next());
    next.map(|it| (it.message.origin.position.0, it.blocked))
        .collect()
}

fn settled(flight: &mut Flight) -> Vec<u64> {
    let settled = flight.settled().into_iter();
    settled.map(|it| it.receipt.unwrap().0).collect()
}

#[test]
fn a_key_is_handled_in_order_across_deliveries_and_other_keys_beside_it() {
    let mut flight = Flight::default();
    deliver(&mut flight, 1, 0, &[("a", 1), ("b", 2), ("a", 3)]);
    deliver(&mut flight, 2, 0, &[("a", 4), ("b", 5)]);
    assert_eq!(begun(&mut flight), [(1, false), (2, false)]);
    flight.done("b", false);
    assert_eq!(begun(&mut flight), [(5, false)]);
    flight.done("b", false);
    flight.done("a", false);
    assert_eq!(begun(&mut flight), [(3, false)]);
    assert!(settled(&mut flight).is_empty());
    flight.done("a", false);
    assert_eq!(settled(&mut flight), [1]);
    assert_eq!(flight.taken().0, 1);
    begun(&mut flight);
    flight.done("a", false);
    assert_eq!(flight.taken(), (0, 0));
}

#[test]
fn a_delivery_is_settled_after_the_earlier_ones_of_its_line_and_before_others() {
    let mut flight = Flight::default();
    deliver(&mut flight, 1, 0, &[("a", 1)]);
    deliver(&mut flight, 2, 0, &[("b", 2)]);
    deliver(&mut flight, 3, 1, &[("c", 3)]);
    deliver(&mut flight, 4, 1, &[]);
    begun(&mut flight);
    flight.done("b", false);
    flight.done("c", false);
    assert_eq!(settled(&mut flight), [3, 4]);
    flight.done("a", false);
    assert_eq!(settled(&mut flight), [1, 2]);
}

#[test]
fn what_comes_after_a_parked_message_of_its_key_waits_behind_it() {
    let mut flight = Flight::default();
    deliver(&mut flight, 1, 0, &[("a", 1), ("a", 2)]);
    flight.watch_parked();
    begun(&mut flight);
    flight.done("a", true);
    assert_eq!(begun(&mut flight), [(2, true)]);
    flight.done("a", true);
    // Whether a is parked was looked at before it was.
    deliver(&mut flight, 2, 0, &[("a", 3)]);
    assert_eq!(begun(&mut flight), [(3, true)]);
}

#[test]
fn what_another_member_parked_while_an_earlier_one_is_handled_here_holds_back_the_next() {
    let mut flight = Flight::default();
    deliver(&mut flight, 1, 0, &[("a", 1)]);
    assert_eq!(begun(&mut flight), [(1, false)]);
    let ending = Ending {
        receipt: Some(Receipt(2)),
        place: None,
        lines: vec![line(0, 3)],
        since: Instant::now(),
    };
    let blocked = HashSet::from(["a".to_owned()]);
    flight.admit(vec![message("a", 3)], ending, &blocked, &HashSet::new());
    flight.done("a", false);
    assert_eq!(begun(&mut flight), [(3, true)]);
}

#[test]
fn a_stop_gives_back_what_was_not_begun() {
    let mut flight = Flight::default();
    deliver(&mut flight, 1, 0, &[("a", 1)]);
    deliver(&mut flight, 2, 1, &[("b", 2), ("b", 3)]);
    begun(&mut flight);
    flight.give_back();
    flight.done("a", false);
    flight.done("b", false);
    assert!(begun(&mut flight).is_empty());
    assert_eq!(settled(&mut flight), [1]);
}
