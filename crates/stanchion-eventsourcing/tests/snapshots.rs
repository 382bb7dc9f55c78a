//! Snapshots are only ever a short cut.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use stanchion_eventsourcing::{
    Aggregate, Altered, Alters, EventLog, KeptState, LogError, MemoryLog, MemorySnapshots,
    Metadata, Recorded, Repository, Snapshot, Snapshots, StreamId, Version,
};
use stanchion_telemetry::Metrics;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Counter {
    count: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum Counted {
    Up { by: i64 },
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;

impl Aggregate for Counter {
    const CATEGORY: &'static str = "counter";
    type Command = i64;
    type Event = Counted;
    type Refusal = Never;

    fn decide(&self, by: &i64) -> Result<Vec<Counted>, Never> {
        Ok(vec![Counted::Up { by: *by }])
    }

    fn evolve(&mut self, Counted::Up { by }: &Counted) {
        self.count += by;
    }
}

impl Snapshot for Counter {
    const SCHEMA: i64 = 2;
}

/// Counts the events that are read.
struct Counting {
    log: MemoryLog,
    read: AtomicUsize,
}

impl Counting {
    fn new() -> Arc<Altered<Self>> {
        Arc::new(Altered(Self {
            log: MemoryLog::new(),
            read: AtomicUsize::new(0),
        }))
    }

    fn taken(&self) -> usize {
        self.read.swap(0, Ordering::Relaxed)
    }
}

#[async_trait]
impl Alters for Counting {
    fn inner(&self) -> &dyn EventLog {
        &self.log
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        let page = self.log.read_stream(stream, from, limit).await?;
        self.read.fetch_add(page.len(), Ordering::Relaxed);
        Ok(page)
    }
}

/// A store in which nothing ever ends.
struct Stuck;

#[async_trait]
impl Snapshots for Stuck {
    async fn load(&self, _: &StreamId) -> Result<Option<KeptState>, LogError> {
        Err(LogError::Unavailable("stuck".into()))
    }

    async fn keep(&self, _: &StreamId, _: &KeptState) -> Result<(), LogError> {
        std::future::pending().await
    }

    async fn discard(&self, _: &StreamId, _: Version) -> Result<(), LogError> {
        std::future::pending().await
    }
}

fn stream() -> StreamId {
    StreamId::new("counter", "a")
}

async fn count(counters: &Repository<Counter>, times: usize) {
    for _ in 0..times {
        counters
            .execute("a", &1, &Metadata::new(None))
            .await
            .unwrap();
    }
}

/// What is written beside the requests is there soon.
async fn kept(store: &MemorySnapshots, version: i64) -> KeptState {
    for _ in 0..1_000 {
        if let Some(kept) = store.load(&stream()).await.unwrap()
            && kept.version == Version(version)
        {
            return kept;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("no snapshot of version {version}");
}

async fn gone(store: &MemorySnapshots) {
    for _ in 0..1_000 {
        if store.load(&stream()).await.unwrap().is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the snapshot is still there");
}

fn repository(log: &Arc<Altered<Counting>>, store: &Arc<MemorySnapshots>) -> Repository<Counter> {
    let (log, store) = (
        Arc::clone(log) as Arc<dyn EventLog>,
        Arc::clone(store) as Arc<dyn Snapshots>,
    );
    Repository::new(log).snapshots(store, 10)
}

#[tokio::test]
async fn a_long_stream_is_loaded_from_its_last_snapshot() {
    let (log, store) = (Counting::new(), Arc::new(MemorySnapshots::default()));
    count(&repository(&log, &store), 25).await;
    let snapshot = kept(&store, 19).await;
    assert_eq!((snapshot.schema, snapshot.state), (2, json!({"count": 20})));
    log.taken();
    let metrics = Metrics::default();
    let another = repository(&log, &store).with_metrics(&metrics);
    let loaded = another.load("a").await.unwrap();
    assert_eq!(
        (loaded.state.count, loaded.version),
        (25, Some(Version(24)))
    );
    // Its last event, as the proof that the log still has it, and what came after it.
    assert_eq!(log.taken(), 6);
    let hit = r#"stanchion_snapshots_total{category="counter",outcome="hit"} 1"#;
    assert!(metrics.encode().contains(hit), "{}", metrics.encode());
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_used_is_discarded_and_written_again() {
    let there = |schema, state| KeptState {
        version: Version(4),
        event: stanchion_runtime::id::new_v7(),
        schema,
        state,
    };
    let useless = [
        // Of an older state, of no state at all, and of a log that went back.
        there(1, json!({"count": 5})),
        there(2, json!({"count": "many"})),
        there(2, json!({"count": 4_000})),
    ];
    for useless in useless {
        let (log, store) = (Counting::new(), Arc::new(MemorySnapshots::default()));
        count(&repository(&log, &store), 5).await;
        store.keep(&stream(), &useless).await.unwrap();
        let metrics = Metrics::default();
        let counters = repository(&log, &store).with_metrics(&metrics);
        assert_eq!(counters.load("a").await.unwrap().state.count, 5);
        gone(&store).await;
        let discarded = r#"{category="counter",outcome="discarded"} 1"#;
        assert!(metrics.encode().contains(discarded), "{}", metrics.encode());
        count(&counters, 5).await;
        assert_eq!(kept(&store, 9).await.state, json!({"count": 10}));
    }
}

#[tokio::test]
async fn a_snapshot_ahead_of_its_stream_is_discarded() {
    let (log, store) = (Counting::new(), Arc::new(MemorySnapshots::default()));
    count(&repository(&log, &store), 10).await;
    kept(&store, 9).await;
    // The log was restored to an earlier time.
    let restored = Counting::new();
    count(&repository(&restored, &store), 3).await;
    let counters = repository(&restored, &store);
    assert_eq!(counters.load("a").await.unwrap().state.count, 3);
    gone(&store).await;
}

#[tokio::test]
async fn a_stream_that_was_long_to_read_gets_a_snapshot() {
    let (log, store) = (Counting::new(), Arc::new(MemorySnapshots::default()));
    count(&Repository::new(Arc::clone(&log) as Arc<dyn EventLog>), 12).await;
    repository(&log, &store).load("a").await.unwrap();
    kept(&store, 11).await;
}

#[tokio::test]
async fn a_stuck_store_of_snapshots_delays_and_fails_nothing() {
    let metrics = Metrics::default();
    let counters = Repository::<Counter>::new(Arc::new(MemoryLog::new()))
        .snapshots(Arc::new(Stuck), 1)
        .with_metrics(&metrics);
    count(&counters, 50).await;
    assert_eq!(counters.load("a").await.unwrap().state.count, 50);
    assert!(
        metrics.encode().contains(r#"outcome="skipped"} 46"#),
        "{}",
        metrics.encode()
    );
}

#[tokio::test]
async fn the_newest_snapshot_wins() {
    let store = MemorySnapshots::default();
    let state = |version, schema| KeptState {
        version: Version(version),
        event: stanchion_runtime::id::new_v7(),
        schema,
        state: json!(version),
    };
    for (given, there) in [((9, 1), 9), ((4, 1), 9), ((12, 1), 12), ((3, 2), 3)] {
        store
            .keep(&stream(), &state(given.0, given.1))
            .await
            .unwrap();
        let kept = store.load(&stream()).await.unwrap().unwrap();
        assert_eq!(kept.version, Version(there));
    }
    store.discard(&stream(), Version(9)).await.unwrap();
    assert!(store.load(&stream()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_known_stream_is_decided_on_without_a_look_and_a_stale_one_with() {
    let log = Counting::new();
    let counters = || Repository::<Counter>::new(Arc::clone(&log) as Arc<dyn EventLog>);
    let (ours, theirs) = (counters(), counters());
    count(&ours, 1).await;
    log.taken();
    count(&ours, 5).await;
    assert_eq!(log.taken(), 0, "what is known was read again");
    count(&theirs, 2).await;
    count(&ours, 1).await;
    assert_eq!(ours.load("a").await.unwrap().state.count, 9);
}
