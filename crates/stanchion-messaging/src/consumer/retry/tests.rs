use super::*;
use crate::{LogId, Message, Metadata, Origin, ParkedState, Position};

fn parked(number: u128) -> Parked {
    let now = clock::now();
    Parked {
        consumer: "c".into(),
        message: Message {
            id: Uuid::from_u128(number),
            contract: "x.y.v1".into(),
            key: number.to_string(),
            payload: serde_json::Value::Null,
            origin: Origin {
                log: LogId(Uuid::nil()),
                position: Position(number as i64),
            },
            metadata: Metadata::new(None),
            at: now,
        },
        state: ParkedState::Retry,
        attempts: 1,
        under_way: false,
        note: None,
        due_at: now,
        reason: String::new(),
        parked_at: now,
    }
}

fn begun(retries: &mut Retries, numbers: &[u128]) -> Vec<u128> {
    let due = numbers.iter().map(|number| parked(*number)).collect();
    let begun = retries.begin(due, |_| None).into_iter();
    begun.map(|it| it.message.id.as_u128()).collect()
}

#[test]
fn what_is_tried_or_was_while_somebody_looked_is_not_begun_again() {
    let mut retries = Retries::new(3);
    retries.begin_look();
    assert_eq!(begun(&mut retries, &[1, 2]), [1, 2]);
    assert_eq!(retries.begin_look(), DUE_MAX + 2);
    retries.tried(Uuid::from_u128(2));
    assert_eq!(
        begun(&mut retries, &[1, 2, 3, 4, 5]),
        [3, 4],
        "room for two"
    );
    assert!(!retries.has_room());
    retries.tried(Uuid::from_u128(1));
    retries.begin_look();
    assert_eq!(begun(&mut retries, &[2, 3, 4]), [2], "it is due once more");
}

#[tokio::test(start_paused = true)]
async fn what_is_held_back_takes_no_room_and_is_looked_for_in_its_time() {
    let mut retries = Retries::new(2);
    let now = Instant::now();
    let until = now + POLL / 2;
    let due = (1..=5).map(parked).collect();
    let is_odd = |it: &Parked| it.message.id.as_u128() % 2 == 1;
    let begun = retries.begin(due, |it| is_odd(it).then_some(until));
    let begun: Vec<u128> = begun.iter().map(|it| it.message.id.as_u128()).collect();
    assert_eq!(begun, [2, 4]);
    assert_eq!(retries.looks_at(), until);
    // Two under way, and the first two that were held back: there was no room to look at the last one.
    assert_eq!(retries.begin_look(), DUE_MAX + 2 + 2);
    retries.tried(Uuid::from_u128(2));
    assert!(retries.looks_at() <= until && retries.has_room());
}

#[test]
fn a_row_that_changed_while_somebody_looked_is_tried_once() {
    let mut retries = Retries::new(3);
    retries.begin_look();
    // Due to be tried again, and a moment later unknown: it is in both answers.
    assert_eq!(begun(&mut retries, &[1, 2, 1, 3, 4]), [1, 2, 3]);
    retries.tried(Uuid::from_u128(1));
    assert!(retries.has_room());
}

#[tokio::test(start_paused = true)]
async fn what_waited_behind_one_goes_on_in_its_place_while_others_have_room() {
    let mut retries = Retries::new(3);
    let tried = |message, next: Option<u128>| Tried {
        message: Uuid::from_u128(message),
        next: next.map(parked),
    };
    assert_eq!(begun(&mut retries, &[1, 2]), [1, 2]);
    let looks_at = retries.looks_at();
    let next = retries.goes_on(tried(1, Some(11)), |_| None);
    assert_eq!(next.map(|it| it.message.id.as_u128()), Some(11));
    assert_eq!(retries.looks_at(), looks_at, "nobody looks for it");
    retries.begin_look();
    assert!(begun(&mut retries, &[11]).is_empty(), "it is tried once");

    // Held back by its rate, or there is none: it is looked what is due.
    let later = Instant::now() + POLL;
    assert!(
        retries
            .goes_on(tried(11, Some(12)), |_| Some(later))
            .is_none()
    );
    assert!(retries.looks_at() < later);
    assert_eq!(begun(&mut retries, &[3, 4]), [3, 4]);
    assert!(!retries.has_room());
    assert!(
        retries.goes_on(tried(2, Some(21)), |_| None).is_none(),
        "others wait"
    );
    assert!(retries.has_room());
}
