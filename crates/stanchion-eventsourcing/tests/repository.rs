//! A repository and a process manager over the log in memory.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stanchion_eventsourcing::{
    Aggregate, Altered, Alters, Append, AppendError, Appended, DueTimer, EventLog, ExecuteError,
    Filter, LogError, MemoryLog, Metadata, Position, Repository, TimerChange, Timers, Version,
};
use stanchion_messaging::{InboxEntry, InboxKey};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const TOO_MANY: usize = 1_001;

#[derive(Clone, Default)]
struct Counter {
    count: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum CounterEvent {
    Counted { by: i64 },
    AlarmSet { at: Timestamp },
    AlarmRang,
}

enum CounterCommand {
    Count(i64),
    SetAlarm(Timestamp),
    Ring,
    /// More often than a log takes at once.
    RingTooOften,
    DoNothing,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the counter is full")]
struct Full;

impl Aggregate for Counter {
    const CATEGORY: &'static str = "counter";
    type Command = CounterCommand;
    type Event = CounterEvent;
    type Refusal = Full;

    fn decide(&self, command: &CounterCommand) -> Result<Vec<CounterEvent>, Full> {
        match command {
            CounterCommand::Count(by) if self.count + by > 100 => Err(Full),
            CounterCommand::Count(by) => Ok(vec![CounterEvent::Counted { by: *by }]),
            CounterCommand::SetAlarm(at) => Ok(vec![CounterEvent::AlarmSet { at: *at }]),
            CounterCommand::Ring => Ok(vec![CounterEvent::AlarmRang]),
            CounterCommand::RingTooOften => Ok(vec![CounterEvent::AlarmRang; TOO_MANY]),
            CounterCommand::DoNothing => Ok(vec![]),
        }
    }

    fn evolve(&mut self, event: &CounterEvent) {
        if let CounterEvent::Counted { by } = event {
            self.count += by;
        }
    }

    fn timers(event: &CounterEvent) -> Vec<TimerChange> {
        let name = "alarm".to_owned();
        match event {
            CounterEvent::AlarmSet { at } => vec![TimerChange::Set { name, due_at: *at }],
            CounterEvent::AlarmRang => vec![TimerChange::Clear { name }],
            CounterEvent::Counted { .. } => vec![],
        }
    }
}

fn counters() -> (Arc<dyn EventLog>, Arc<Repository<Counter>>) {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
    let repository = Arc::new(Repository::new(Arc::clone(&log)));
    (log, repository)
}

fn metadata() -> Metadata {
    Metadata::new(None)
}

#[tokio::test]
async fn executions_on_one_id_do_not_lose_updates() {
    let (_, counters) = counters();
    let counting = (0..50).map(|_| {
        let counters = Arc::clone(&counters);
        async move {
            counters
                .execute("a", &CounterCommand::Count(1), &metadata())
                .await
                .unwrap()
        }
    });
    futures_util::future::join_all(counting).await;
    let loaded = counters.load("a").await.unwrap();
    assert_eq!(
        (loaded.state.count, loaded.version),
        (50, Some(Version(49)))
    );
}

#[tokio::test]
async fn two_processes_meet_in_the_stream_and_decide_anew() {
    let (log, first) = counters();
    let second = Repository::<Counter>::new(log);
    for _ in 0..5 {
        first
            .execute("a", &CounterCommand::Count(1), &metadata())
            .await
            .unwrap();
        second
            .execute("a", &CounterCommand::Count(10), &metadata())
            .await
            .unwrap();
    }
    assert_eq!(first.load("a").await.unwrap().state.count, 55);
}

#[tokio::test]
async fn a_refusal_leaves_no_trace() {
    let (log, counters) = counters();
    let refused = counters
        .execute("a", &CounterCommand::Count(101), &metadata())
        .await;
    assert!(matches!(refused, Err(ExecuteError::Refused(Full))));
    assert_eq!(log.head().await.unwrap(), Position::START);
}

#[tokio::test]
async fn a_stale_version_is_refused() {
    let (_, counters) = counters();
    counters
        .execute("a", &CounterCommand::Count(1), &metadata())
        .await
        .unwrap();
    let metadata = metadata();
    let stale = counters.on("a", &metadata).expecting(Some(Version(7)));
    let stale = stale.execute(&CounterCommand::Count(1)).await;
    assert!(matches!(
        stale,
        Err(ExecuteError::VersionMismatch {
            actual: Some(Version(0))
        })
    ));
}

#[tokio::test]
async fn a_repeated_inbox_key_answers_as_the_first_time() {
    let (_, counters) = counters();
    let entry = InboxEntry::new(InboxKey::message("test", Uuid::from_u128(1), None));
    let metadata = metadata();
    let once = || {
        counters.on("a", &metadata).settling(|counter, _| {
            Some(InboxEntry {
                answer: Some(counter.count.to_string().into_bytes()),
                ..entry.clone()
            })
        })
    };
    once().execute(&CounterCommand::Count(5)).await.unwrap();
    let again = once().execute(&CounterCommand::Count(5)).await;
    let Err(ExecuteError::AlreadyHandled { answer, .. }) = again else {
        panic!("counted twice");
    };
    assert_eq!(answer.as_deref(), Some(b"5".as_slice()));
    assert_eq!(counters.load("a").await.unwrap().state.count, 5);
}

#[tokio::test]
async fn deciding_to_do_nothing_is_remembered_too() {
    let (log, counters) = counters();
    let entry = InboxEntry::new(InboxKey::message("test", Uuid::from_u128(1), None));
    let metadata = metadata();
    let once = || counters.on("a", &metadata).inbox(Some(entry.clone()));
    once().execute(&CounterCommand::DoNothing).await.unwrap();
    let again = once().execute(&CounterCommand::Count(1)).await;
    assert!(matches!(again, Err(ExecuteError::AlreadyHandled { .. })));
    assert!(
        log.read(Position::START, &Filter::all(), 10)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_timer_commits_with_its_event_and_fires_once() {
    let (log, counters) = counters();
    let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    counters
        .execute("a", &CounterCommand::SetAlarm(at), &metadata())
        .await
        .unwrap();
    let timers = Timers::new(Arc::clone(&counters), |_, _| CounterCommand::Ring);
    assert_eq!(timers.fire_due(at).await.unwrap(), 1);
    assert_eq!(timers.fire_due(at).await.unwrap(), 0);
    assert_eq!(log.head().await.unwrap(), Position(2));
}

#[tokio::test]
async fn a_timer_without_an_answer_is_over_too() {
    let (_, counters) = counters();
    let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    counters
        .execute("a", &CounterCommand::SetAlarm(at), &metadata())
        .await
        .unwrap();
    let timers = Timers::new(counters, |_, _| CounterCommand::DoNothing);
    assert_eq!(timers.fire_due(at).await.unwrap(), 1);
    assert_eq!(timers.fire_due(at).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_cannot_fire_is_tried_less_and_less_often_and_others_fire_in_time() {
    let (log, counters) = counters();
    let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let set = async |id| {
        let command = CounterCommand::SetAlarm(at);
        counters.execute(id, &command, &metadata()).await.unwrap();
    };
    set("broken").await;
    let tries = Arc::new(AtomicUsize::new(0));
    let tried = Arc::clone(&tries);
    let timers = Timers::new(Arc::clone(&counters), move |timer, _| {
        if timer.stream.id() == "broken" {
            tried.fetch_add(1, Ordering::SeqCst);
            return CounterCommand::RingTooOften;
        }
        CounterCommand::Ring
    });
    let stop = CancellationToken::new();
    let running = stanchion_runtime::task::spawn("timers", timers.run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(120)).await;
    let tries = tries.load(Ordering::SeqCst);
    assert!((5..20).contains(&tries), "{tries} tries in two minutes");
    set("whole").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        log.head().await.unwrap(),
        Position(3),
        "it waits for the other"
    );
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_timer_that_is_being_fired_and_for_no_other() {
    let (log, counters) = counters();
    let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    for id in ["a", "b", "c"] {
        let command = CounterCommand::SetAlarm(at);
        counters.execute(id, &command, &metadata()).await.unwrap();
    }
    let stop = CancellationToken::new();
    let stops = stop.clone();
    let timers = Timers::new(Arc::clone(&counters), move |_, _| {
        stops.cancel();
        CounterCommand::Ring
    });
    timers.run(stop).await;
    assert_eq!(log.head().await.unwrap(), Position(4), "one rang");
    let again = Timers::new(counters, |_, _| CounterCommand::Ring);
    assert_eq!(again.fire_due(at).await.unwrap(), 2);
}

/// A log that lets go of no timer of one stream.
struct Holds(MemoryLog);

#[async_trait]
impl Alters for Holds {
    fn inner(&self) -> &dyn EventLog {
        &self.0
    }

    async fn clear_timer(&self, timer: &DueTimer) -> Result<(), LogError> {
        if timer.stream.id() == "held" {
            return Err(LogError::Unavailable("out of luck".into()));
        }
        self.0.clear_timer(timer).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_cannot_be_cleared_is_tried_less_and_less_often_and_others_fire_in_time() {
    let log: Arc<dyn EventLog> = Arc::new(Altered(Holds(MemoryLog::new())));
    let counters = Arc::new(Repository::<Counter>::new(log));
    let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    for (id, due_at) in [("held", at), ("free", at + Duration::from_secs(1))] {
        let command = CounterCommand::SetAlarm(due_at);
        counters.execute(id, &command, &metadata()).await.unwrap();
    }
    let fired: Arc<[AtomicUsize; 2]> = Arc::default();
    let firing = Arc::clone(&fired);
    let timers = Timers::new(counters, move |timer, _| {
        let which = usize::from(timer.stream.id() == "held");
        firing[which].fetch_add(1, Ordering::SeqCst);
        CounterCommand::DoNothing
    });
    let stop = CancellationToken::new();
    let running = stanchion_runtime::task::spawn("timers", timers.run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(120)).await;
    let [free, held] = [0_usize, 1].map(|which| fired[which].load(Ordering::SeqCst));
    assert_eq!(free, 1, "it waits for the other");
    assert!((5..20).contains(&held), "{held} tries in two minutes");
    stop.cancel();
    running.await.unwrap();
}

/// A log that takes its time over each append.
struct Slow(MemoryLog);

#[async_trait]
impl Alters for Slow {
    fn inner(&self) -> &dyn EventLog {
        &self.0
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.0.append(append).await
    }
}

#[tokio::test(start_paused = true)]
async fn timers_that_are_due_at_once_do_not_wait_for_each_other() {
    let log = Arc::new(Altered(Slow(MemoryLog::new())));
    let counters = Arc::new(Repository::<Counter>::new(log));
    let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    for id in 0..32 {
        let (id, command) = (id.to_string(), CounterCommand::SetAlarm(at));
        counters.execute(&id, &command, &metadata()).await.unwrap();
    }
    let timers = Timers::new(counters, |_, _| CounterCommand::Ring);
    let begun = tokio::time::Instant::now();
    assert_eq!(timers.fire_due(at).await.unwrap(), 32);
    let took = begun.elapsed();
    assert!(
        took < Duration::from_secs(1),
        "{took:?}, one after the other"
    );
    assert_eq!(timers.fire_due(at).await.unwrap(), 0);
}
