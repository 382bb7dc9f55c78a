use serde_json::json;
use stanchion_eventsourcing::{Append, Metadata, NewEvent, StreamId};
use stanchion_messaging::InboxKey;
use stanchion_runtime::id;

use super::*;

fn ready(stream: &str, expected: Expected, events: usize) -> Ready {
    let event = |n| NewEvent {
        id: id::new_v7(),
        kind: "placed".into(),
        data: json!({ "n": n }).into(),
    };
    Ready::of(Append {
        stream: StreamId::new("order", stream),
        expected,
        events: (0..events).map(event).collect(),
        inbox: (events == 0).then(|| InboxEntry::new(InboxKey::message("c", id::new_v7(), None))),
        timers: Vec::new(),
        metadata: Metadata::new(None),
    })
    .unwrap()
}

#[test]
fn what_is_remembered_decides_only_what_it_can() {
    let fits = |after| Guess::Fits { after };
    let exact = |version| Expected::Exact(Version(version));
    for (expected, events, known, guess_) in [
        (Expected::NoStream, 1, None, fits(None)),
        (Expected::NoStream, 1, Some(0), Guess::Beaten),
        (exact(3), 1, Some(3), fits(Some(3))),
        (exact(3), 1, Some(4), Guess::Beaten),
        (exact(3), 1, Some(2), Guess::Unknown),
        (exact(3), 1, None, Guess::Unknown),
        (Expected::Any, 1, Some(3), fits(Some(3))),
        (Expected::Any, 1, None, Guess::Unknown),
        // Nothing would be inserted that could collide.
        (exact(3), 0, Some(3), Guess::Unknown),
        (Expected::NoStream, 0, None, Guess::Unknown),
        (exact(3), 0, Some(4), Guess::Beaten),
    ] {
        assert_eq!(
            guess(expected, events, known),
            guess_,
            "{expected:?} {events} {known:?}"
        );
    }
}

#[test]
fn a_refused_append_takes_no_position_from_its_neighbours() {
    let batch = [
        ready("a", Expected::NoStream, 2),
        ready("b", Expected::NoStream, 1),
        ready("c", Expected::Any, 3),
        ready("d", Expected::Any, 0),
    ];
    let mut facts = Facts {
        head: 10,
        ..Facts::default()
    };
    facts.saw_version(batch[1].key, 0);
    facts.saw_version(batch[2].key, 7);
    let (answers, head) = answers(&batch, facts.verdicts(&batch), facts.head);
    let at = |position, version: Option<i64>| Appended {
        position: Position(position),
        version: version.map(Version),
    };
    assert_eq!(*answers[0].as_ref().unwrap(), at(12, Some(1)));
    assert!(matches!(
        answers[1],
        Err(AppendError::Conflict {
            actual: Some(Version(0))
        })
    ));
    assert_eq!(*answers[2].as_ref().unwrap(), at(15, Some(10)));
    assert_eq!(*answers[3].as_ref().unwrap(), at(15, None));
    assert_eq!(head, Position(15));
}

#[test]
fn the_same_ids_are_the_first_answer_whatever_is_expected() {
    let again = ready("a", Expected::NoStream, 2);
    let mut facts = Facts::default();
    facts.saw_version(again.key, 9);
    facts.saw_event(again.append.events[0].id, again.key, 4, 40);
    let in_part = facts.verdicts([&again]).remove(0);
    assert!(
        matches!(in_part, Verdict::Answered(Err(AppendError::Invalid(_)))),
        "{in_part:?}"
    );
    facts.saw_event(again.append.events[1].id, again.key, 5, 41);
    match facts.verdicts([&again]).remove(0) {
        Verdict::Answered(Ok(appended)) => assert_eq!(
            (appended.position, appended.version),
            (Position(41), Some(Version(5)))
        ),
        other => panic!("{other:?}"),
    }
    let foreign = ready("b", Expected::Any, 1);
    facts.saw_event(foreign.append.events[0].id, again.key, 4, 40);
    let verdict = facts.verdicts([&foreign]).remove(0);
    assert!(matches!(
        verdict,
        Verdict::Answered(Err(AppendError::Invalid(_)))
    ));
}
