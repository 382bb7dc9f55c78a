//! Programs: what a context may ask of its log, in any order.

use proptest::prelude::*;

/// Streams a program uses.
pub(crate) const STREAMS: u8 = 3;

/// One thing asked.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Append(Append),
    /// The append of an earlier step again, with the same ids; nothing if there was none.
    Repeat(usize),
    Claim {
        key: u8,
        owner: u8,
    },
    Complete {
        key: u8,
        owner: u8,
    },
    Release {
        key: u8,
        owner: u8,
    },
    ReadStream {
        stream: u8,
        from: i64,
        limit: usize,
    },
    Read {
        after: i64,
        filter: bool,
        limit: usize,
    },
    Due {
        at: i64,
        limit: usize,
    },
    Fired {
        stream: u8,
        timer: u8,
        at: i64,
    },
    /// A command on the aggregate behind a stream, by one of two processes.
    Execute {
        process: u8,
        stream: u8,
        by: i64,
        expected: Option<i64>,
    },
    Load {
        process: u8,
        stream: u8,
    },
    Keep {
        stream: u8,
        version: i64,
        schema: i64,
    },
    Discard {
        stream: u8,
        version: i64,
    },
    Kept {
        stream: u8,
    },
    /// One of two subscriptions goes on to the log's end, or until its handler has had so many pages and rejects one.
    Follow {
        subscription: u8,
        pages: Option<usize>,
    },
    Rewind {
        subscription: u8,
        to: i64,
    },
}

/// The first subscription wants everything, the second one the first stream alone.
pub(crate) const SUBSCRIPTIONS: u8 = 2;

/// Entries in a page of a subscription.
pub(crate) const PAGE: usize = 2;

#[derive(Clone, Debug)]
pub(crate) struct Append {
    pub(crate) stream: u8,
    pub(crate) expected: Expected,
    pub(crate) events: Vec<Shape>,
    pub(crate) inbox: Option<Entry>,
    pub(crate) timers: Vec<(u8, Option<i64>)>,
}

/// What was expected of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    NoStream,
    Exact(i64),
    Any,
}

/// An event of today's shape, or one of the two older ones.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Counted(i64),
    CountedV1(i64),
    CountedV2(i64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) key: u8,
    pub(crate) owner: Option<u8>,
    pub(crate) answer: Option<u8>,
}

pub(crate) fn program() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..16)
}

fn step() -> impl Strategy<Value = Step> {
    let (stream, key, owner) = (|| 0..STREAMS, || 0..2u8, || 0..2u8);
    prop_oneof![
        8 => append().prop_map(Step::Append),
        2 => (0..8usize).prop_map(Step::Repeat),
        1 => (key(), owner()).prop_map(|(key, owner)| Step::Claim { key, owner }),
        1 => (key(), owner()).prop_map(|(key, owner)| Step::Complete { key, owner }),
        1 => (key(), owner()).prop_map(|(key, owner)| Step::Release { key, owner }),
        2 => (stream(), 0..6i64, 0..5usize)
            .prop_map(|(stream, from, limit)| Step::ReadStream { stream, from, limit }),
        2 => (0..12i64, any::<bool>(), 0..8usize)
            .prop_map(|(after, filter, limit)| Step::Read { after, filter, limit }),
        1 => (0..5i64, 0..5usize).prop_map(|(at, limit)| Step::Due { at, limit }),
        1 => (stream(), 0..2u8, 0..4i64).prop_map(|(stream, timer, at)| Step::Fired { stream, timer, at }),
        6 => (0..2u8, stream(), 0..9i64, prop::option::weighted(0.3, 0..4i64)).prop_map(
            |(process, stream, by, expected)| Step::Execute { process, stream, by, expected }),
        2 => (0..2u8, stream()).prop_map(|(process, stream)| Step::Load { process, stream }),
        1 => (stream(), 0..4i64, 1..3i64)
            .prop_map(|(stream, version, schema)| Step::Keep { stream, version, schema }),
        1 => (stream(), 0..4i64).prop_map(|(stream, version)| Step::Discard { stream, version }),
        1 => stream().prop_map(|stream| Step::Kept { stream }),
        2 => (0..SUBSCRIPTIONS, prop::option::of(0..3usize))
            .prop_map(|(subscription, pages)| Step::Follow { subscription, pages }),
        1 => (0..SUBSCRIPTIONS, 0..10i64)
            .prop_map(|(subscription, to)| Step::Rewind { subscription, to }),
    ]
}

fn append() -> impl Strategy<Value = Append> {
    let expected = prop_oneof![
        1 => Just(Expected::NoStream),
        2 => (0..4i64).prop_map(Expected::Exact),
        3 => Just(Expected::Any),
    ];
    let shape = prop_oneof![
        (0..5i64).prop_map(Shape::Counted),
        (0..5i64).prop_map(Shape::CountedV1),
        (0..5i64).prop_map(Shape::CountedV2),
    ];
    let entry = (
        0..2u8,
        prop::option::weighted(0.4, 0..2u8),
        prop::option::of(0..9u8),
    )
        .prop_map(|(key, owner, answer)| Entry { key, owner, answer });
    let timer = (0..2u8, prop::option::weighted(0.7, 0..4i64));
    (
        0..STREAMS,
        expected,
        prop::collection::vec(shape, 0..4),
        prop::option::weighted(0.3, entry),
        prop::collection::vec(timer, 0..2),
    )
        .prop_map(|(stream, expected, events, inbox, timers)| Append {
            stream,
            expected,
            events,
            inbox,
            timers,
        })
}
