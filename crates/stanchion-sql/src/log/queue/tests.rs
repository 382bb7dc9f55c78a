use stanchion_eventsourcing::{Append, Content, Expected, Metadata, NewEvent, StreamId};
use stanchion_messaging::{InboxEntry, InboxKey};
use stanchion_runtime::id;

use super::*;

fn job(stream: &str, events: usize, key: Option<&InboxKey>) -> Job {
    let event = |_| NewEvent {
        id: id::new_v7(),
        kind: "placed".into(),
        data: Content::null(),
    };
    let ready = Ready::of(Append {
        stream: StreamId::new("order", stream),
        expected: Expected::Any,
        events: (0..events).map(event).collect(),
        inbox: key.cloned().map(InboxEntry::new),
        timers: Vec::new(),
        metadata: Metadata::new(None),
    });
    Job {
        ready: ready.unwrap(),
        answer: oneshot::channel().0,
        since: Instant::now(),
        how: How::Free,
        collisions: 0,
        in_doubt: None,
    }
}

fn names(jobs: impl IntoIterator<Item = Job>) -> Vec<String> {
    let name = |job: Job| job.ready.append.stream.id().to_owned();
    jobs.into_iter().map(name).collect()
}

fn picked(jobs: Vec<Job>, busy: &Busy) -> (Vec<String>, Vec<String>) {
    let mut waiting = jobs.into();
    let batch = pick(&mut waiting, busy);
    (names(batch), names(waiting))
}

fn owned<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).into()
}

#[test]
fn an_abandoned_queue_tells_who_waits_that_nothing_is_known_and_takes_no_more() {
    let queue = Queue::default();
    let (answer, mut told) = oneshot::channel();
    let waiting = Job {
        answer,
        ..job("a", 1, None)
    };
    assert!(queue.push(waiting).is_ok());
    queue.abandon();
    let nobody = oneshot::error::TryRecvError::Closed;
    assert!(told.try_recv().is_err_and(|error| error == nobody));
    let refused = queue.push(job("b", 1, None));
    assert!(matches!(refused, Err(AppendError::Unavailable(_))));
    assert!(queue.is_done());
}

#[test]
fn a_stream_and_a_key_stand_in_a_batch_once_and_keep_their_order() {
    let key = InboxKey::message("c", id::new_v7(), None);
    let jobs = vec![
        job("a", 1, None),
        job("b", 1, Some(&key)),
        job("a", 2, None),
        job("c", 1, Some(&key)),
        job("c", 1, None),
        job("d", 1, None),
    ];
    let (batch, left) = picked(jobs, &Busy::default());
    // The second on `c` waits too: its first one does.
    assert_eq!(
        (batch, left),
        (owned(["a", "b", "d"]), owned(["a", "c", "c"]))
    );
}

#[test]
fn what_is_in_flight_is_waited_for() {
    let key = InboxKey::message("c", id::new_v7(), None);
    let mut busy = Busy::default();
    busy.streams.insert(StreamId::new("order", "a").key());
    busy.keys.insert(key.as_str().to_owned());
    let jobs = vec![
        job("a", 1, None),
        job("b", 1, Some(&key)),
        job("c", 1, None),
    ];
    assert_eq!(picked(jobs, &busy), (owned(["c"]), owned(["a", "b"])));
}

#[test]
fn a_batch_is_bounded_unless_one_append_alone_is_larger() {
    let jobs = vec![job("a", 300, None), job("b", 212, None), job("c", 1, None)];
    assert_eq!(
        picked(jobs, &Busy::default()),
        (owned(["a", "b"]), owned(["c"]))
    );
    let jobs = vec![job("a", 1_000, None), job("b", 1, None)];
    assert_eq!(picked(jobs, &Busy::default()), (owned(["a"]), owned(["b"])));
}

#[test]
fn what_was_refused_goes_alone() {
    let mut jobs = vec![job("a", 1, None), job("b", 1, None), job("c", 1, None)];
    jobs[1].how = How::Alone;
    let (batch, left) = picked(jobs, &Busy::default());
    assert_eq!((&batch, &left), (&owned(["a"]), &owned(["b", "c"])));
    let mut jobs = vec![job("b", 1, None), job("c", 1, None)];
    jobs[0].how = How::Alone;
    assert_eq!(picked(jobs, &Busy::default()), (owned(["b"]), owned(["c"])));
}

#[test]
fn what_waits_for_too_long_is_taken_out() {
    let queue = Queue::default();
    let ago = |seconds| {
        Instant::now()
            .checked_sub(Duration::from_secs(seconds))
            .unwrap()
    };
    for (name, since, in_doubt) in [
        ("a", 6, None),
        ("b", 2, None),
        ("c", 9, Some(1)),
        ("d", 9, Some(6)),
    ] {
        queue
            .push(Job {
                since: ago(since),
                in_doubt: in_doubt.map(ago),
                ..job(name, 1, None)
            })
            .unwrap();
    }
    // In doubt it waits from then on: it was not idle before.
    assert_eq!(names(queue.take_late(Duration::from_secs(5))), ["a", "d"]);
    assert_eq!(queue.len(), 2);
}

#[test]
fn a_full_or_closed_queue_refuses() {
    let queue = Queue::default();
    for n in 0..JOBS_MAX {
        queue.push(job(&n.to_string(), 1, None)).unwrap();
    }
    let refused = queue.push(job("x", 1, None));
    assert!(matches!(refused, Err(AppendError::Overloaded)));
    assert!(queue.is_full_batch());
    queue.close();
    let refused = queue.push(job("x", 1, None));
    assert!(matches!(refused, Err(AppendError::Unavailable(_))));
    assert!(!queue.is_done());
}
