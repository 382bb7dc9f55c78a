//! What is measured: a table, one line a case.

use super::{
    cluster::Disk,
    figures::Figure,
    peers::{
        COPY, COPY_LEAN, Contestant, MESSAGE_DB, ONE_ORDERED, ONE_UNORDERED, PGBENCH, POSTGRES_ES,
        SQLITE_POOL, SQLITE_RAW, STORES, other, ours, readers,
    },
};

/// Ours beside peers at the same job.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// The drivers' word for it.
    pub(super) word: &'static str,
    pub(super) store: Store,
    pub(super) writers: usize,
    /// Events that a reading case has to read.
    pub(super) events: usize,
    pub(super) figures: &'static [Figure],
    pub(super) unit: &'static str,
    pub(super) ours: Contestant,
    pub(super) peers: Vec<Contestant>,
}

/// Where the events are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    Postgres(Disk),
    Sqlite,
}

const APPENDS: &[Figure] = &[Figure::Rate, Figure::P50, Figure::P99];
const RATE: &[Figure] = &[Figure::Rate];
const LATENCIES: &[Figure] = &[Figure::P50, Figure::P99];

/// Events of the feed; in streams of 100.
const FEED: usize = 100_000;
const STREAMS: usize = 20_000;
const PROJECTED: usize = 1_000_000;
/// More than one transaction an event gets through in the time.
const PROJECTED_SLOWLY: usize = 50_000;

/// All of them, in the order in which they run.
pub(super) fn all() -> Vec<Case> {
    let own = Store::Postgres(Disk::Own);
    let slow = Store::Postgres(Disk::Slow);
    vec![
        append("append-1", "append", own, 1, &[PGBENCH]),
        append("append-16", "append", own, 16, &[PGBENCH]),
        append(
            "append-64",
            "append",
            own,
            64,
            &[COPY, COPY_LEAN, PGBENCH, ONE_ORDERED, ONE_UNORDERED],
        ),
        // No store has more than 64 connections, so each is as with 64 writers: one of each kind shows it.
        Case {
            peers: vec![MESSAGE_DB, POSTGRES_ES, COPY, COPY_LEAN],
            ..append("append-1024", "append", own, 1_024, &[])
        },
        append("batch10-16", "append10", own, 16, &[]),
        append("batch10-64", "append10", own, 64, &[COPY, COPY_LEAN]),
        append(
            "slow-disk-64",
            "append",
            slow,
            64,
            &[ONE_ORDERED, ONE_UNORDERED],
        ),
        // Twice: with streams whose states the repository remembers, and with more than that.
        Case {
            ours: ours("repository:streams=2000"),
            peers: vec![other("the bare log", "append:streams=2000")],
            ..append("repository-64", "append", own, 64, &[])
        },
        Case {
            ours: ours("repository"),
            peers: vec![other("the bare log", "append")],
            ..append("repository-wide-64", "append", own, 64, &[])
        },
        Case {
            ours: ours("work"),
            peers: vec![ONE_ORDERED, other("the bare log", "append")],
            ..append("unit-of-work-64", "append", own, 64, &[])
        },
        Case {
            ours: ours("work-row"),
            peers: vec![ONE_ORDERED],
            ..append("unit-of-work-row-64", "append", own, 64, &[])
        },
        sqlite("sqlite-append-1", 1),
        sqlite("sqlite-append-16", 16),
        sqlite("sqlite-append-64", 64),
        Case {
            // As large as the peers' best ones.
            ours: ours("feed:page=2000"),
            peers: readers("feed").to_vec(),
            figures: RATE,
            ..reading("feed", "events/s", FEED)
        },
        Case {
            peers: readers("stream").to_vec(),
            figures: APPENDS,
            ..reading("stream", "streams/s", STREAMS)
        },
        projecting("projection", "project", own),
        projecting("projection-folded", "project-folded", own),
        projecting("sqlite-projection", "project", Store::Sqlite),
        projecting("sqlite-projection-folded", "project-folded", Store::Sqlite),
        Case {
            figures: LATENCIES,
            ours: ours("ack"),
            peers: vec![other("polling every 5 ms", "ack:poll=5")],
            ..append("ack-to-seen", "append", own, 64, &[])
        },
    ]
}

fn append(
    name: &'static str,
    word: &'static str,
    store: Store,
    writers: usize,
    beside: &[Contestant],
) -> Case {
    Case {
        name,
        word,
        store,
        writers,
        events: 0,
        figures: APPENDS,
        unit: "events/s",
        ours: ours("append"),
        peers: STORES.iter().chain(beside).copied().collect(),
    }
}

fn sqlite(name: &'static str, writers: usize) -> Case {
    Case {
        peers: vec![SQLITE_POOL, SQLITE_RAW],
        ..append(name, "append", Store::Sqlite, writers, &[])
    }
}

fn reading(name: &'static str, unit: &'static str, events: usize) -> Case {
    Case {
        events,
        unit,
        ours: ours(name),
        ..append(name, name, Store::Postgres(Disk::Own), 1, &[])
    }
}

fn projecting(name: &'static str, case: &'static str, store: Store) -> Case {
    Case {
        events: PROJECTED,
        figures: RATE,
        ours: ours(case),
        peers: vec![other("one transaction an event", "project-one").of(PROJECTED_SLOWLY)],
        store,
        // Filling and replaying use both cores.
        writers: 2,
        ..reading(name, "events/s", PROJECTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own_and_somebody_beside_it() {
        let mut names: Vec<_> = all().iter().map(|case| case.name).collect();
        assert!(all().iter().all(|case| !case.peers.is_empty()));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn one_peer_appears_once_in_a_case() {
        for case in all() {
            let mut names: Vec<_> = case.peers.iter().map(|peer| peer.name).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{}", case.name);
        }
    }
}
