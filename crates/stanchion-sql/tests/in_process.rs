//! The broker within a process, twenty times at once: services are replaced one after the other while messages come in, each
//! stops in the middle of its work, and nothing is lost, a dead letter or out of order.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use stanchion_eventsourcing::AppendError;
use stanchion_messaging::{
    Consumer, ConsumerStore, Contract, DeadLetterFilter, HandlerError, InboxEntry, LogId,
    MemoryBroker, Message, Metadata, Origin, ParkedState, Position, Received,
};
use stanchion_runtime::{clock, id, random, task};
use stanchion_sql::{Db, SqlConsumerStore, UnitOfWork, WorkError, params};
use stanchion_testing::feed::ListedFeed;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const RUNS: usize = 20;
const MESSAGES: usize = 48;
const KEYS: usize = 6;
const WITHIN: Duration = Duration::from_secs(100);

#[derive(Serialize, Deserialize)]
struct Counted {
    key: String,
    number: usize,
}

impl Contract for Counted {
    const NAME: &'static str = "suite.counted.v1";

    fn key(&self) -> String {
        self.key.clone()
    }
}

/// The effects, in their order.
type Effects = Arc<Mutex<Vec<(String, usize)>>>;

fn message(log: LogId, number: usize) -> Message {
    let key = format!("key-{}", number % KEYS);
    Message {
        id: id::new_v7(),
        contract: Counted::NAME.into(),
        payload: json!({"key": &key, "number": number}),
        key,
        origin: Origin {
            log,
            position: Position(number as i64 + 1),
        },
        metadata: Metadata::new(None),
        at: clock::now(),
    }
}

/// Takes some time, then commits the effect with its inbox row.
async fn handle(
    db: &Db,
    effects: &Effects,
    counted: Counted,
    inbox: InboxEntry,
) -> Result<(), HandlerError> {
    sleep(random::jitter(Duration::from_millis(8))).await;
    let mut work = UnitOfWork::begin(db);
    work.settle(inbox, &Metadata::new(None));
    match work.commit().await {
        Ok(_) => effects.lock().push((counted.key, counted.number)),
        Err(WorkError::Log(AppendError::AlreadyHandled { .. })) => {}
        Err(error) => return Err(HandlerError::Later(error.to_string())),
    }
    Ok(())
}

fn consumer(
    name: &'static str,
    db: &Db,
    broker: &Arc<MemoryBroker>,
    effects: &Effects,
) -> Consumer {
    let store = Arc::new(SqlConsumerStore::new(db.clone()));
    let (db, effects) = (db.clone(), Arc::clone(effects));
    Consumer::new(name, store, broker.clone()).on(move |counted: Counted, received: Received| {
        let (db, effects) = (db.clone(), Arc::clone(&effects));
        async move { handle(&db, &effects, counted, received.inbox()).await }
    })
}

async fn run(name: &'static str, db: Db) {
    let log = LogId(stanchion_runtime::id::new_v7());
    let feed = Arc::new(ListedFeed::new(name, log));
    let broker = Arc::new(MemoryBroker::new());
    broker.register(feed.clone());
    let loading = task::spawn("load", async move {
        for number in 0..MESSAGES {
            feed.push(message(log, number));
            sleep(Duration::from_millis(3)).await;
        }
    });
    let (effects, begun) = (Effects::default(), Instant::now());
    while effects.lock().len() < MESSAGES {
        assert!(begun.elapsed() < WITHIN, "{}", effects.lock().len());
        let stop = CancellationToken::new();
        let consumer = consumer(name, &db, &broker, &effects);
        let running = task::spawn("consumer", consumer.run(stop.clone()));
        // A life is some effects long: what a delivery had is repeated from its start.
        let life = effects.lock().len() + 1 + usize::from(random::bytes::<1>()[0] % 8);
        while effects.lock().len() < life.min(MESSAGES) && begun.elapsed() < WITHIN {
            sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
        running.await.unwrap();
    }
    loading.await.unwrap();
    let effects = effects.lock().clone();
    assert_eq!(effects.len(), MESSAGES, "an effect is there twice");
    let mut last = HashMap::new();
    for (key, number) in effects {
        let before = last.insert(key, number);
        assert!(before.is_none_or(|before| before < number), "out of order");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_under_load_loses_nothing_and_dead_letters_nothing() {
    for db in support::migrated().await {
        let runs = (0..RUNS).map(|run| {
            let name: &'static str = format!("run-{run}").leak();
            task::spawn("run", self::run(name, db.clone()))
        });
        let runs: Vec<_> = runs.collect();
        for run in runs {
            run.await.unwrap();
        }
        let store = SqlConsumerStore::new(db.clone());
        for state in [ParkedState::Dead, ParkedState::Unknown] {
            let filter = DeadLetterFilter {
                state: Some(state),
                limit: 10,
                ..DeadLetterFilter::default()
            };
            assert_eq!(store.list(&filter).await.unwrap(), []);
        }
        let rows = db.query("select count(*) from inbox", params![]).await;
        let rows: i64 = rows.unwrap()[0].get(0).unwrap();
        assert_eq!(usize::try_from(rows), Ok(RUNS * MESSAGES));
    }
}
