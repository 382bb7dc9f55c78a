//! A log that was restored alone, and a consumer in another file that is ahead of it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stanchion_eventsourcing::{
    Announcement, AppendError, EventLog, Expected, Metadata, Position, Relay,
};
use stanchion_messaging::{
    Consumer, ConsumerStore, Contract, Feed, HandlerError, LogId, Mark, MemoryBroker, Received,
};
use stanchion_runtime::task;
use stanchion_sql::{DatabaseUrl, Db, SqlConsumerStore, SqlError, UnitOfWork, WorkError, params};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{booked, open, sqlite};

const BEGIN_AGAIN: &str = include_str!("../../../../docs/runbooks/begin-again.sql");

/// Longer than any of it takes.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Serialize, Deserialize)]
struct Booked {
    account: String,
}

impl Contract for Booked {
    const NAME: &'static str = "accounts.booked.v1";

    fn key(&self) -> String {
        self.account.clone()
    }
}

/// Counts a message once, by the key that commits with the count.
async fn count(db: &Db, booked: Booked, received: Received) -> Result<(), HandlerError> {
    let mut work = UnitOfWork::begin(db);
    work.queue(
        "insert into counted (account, n) values ($1, 1) \
         on conflict (account) do update set n = counted.n + 1",
        params![booked.account],
    );
    work.settle(received.inbox(), &Metadata::new(None));
    match work.commit().await {
        Ok(_) | Err(WorkError::Log(AppendError::AlreadyHandled { .. })) => Ok(()),
        Err(error) => Err(HandlerError::Later(error.to_string())),
    }
}

/// Runs the consumer until it has read the log to its end.
async fn consume(db: &Db, log: &Arc<dyn EventLog>) {
    let broker = Arc::new(MemoryBroker::new());
    broker.register(Arc::new(Relay::new("accounts", Arc::clone(log), |event| {
        let account = event.stream.id().to_owned();
        Ok(vec![Announcement::of(&Booked { account })])
    })));
    let store = Arc::new(SqlConsumerStore::new(db.clone()));
    let into = db.clone();
    let consumer = Consumer::new("counter", Arc::clone(&store) as _, broker).on(
        move |booked: Booked, received| {
            let db = into.clone();
            async move { count(&db, booked, received).await }
        },
    );
    let stop = CancellationToken::new();
    let running = task::spawn("counter", consumer.run(stop.clone()));
    let head = log.head().await.unwrap();
    let done = tokio::time::timeout(PATIENCE, async {
        let place = || async { store.progress("counter").await.unwrap().remove(&log.id()) };
        while place().await.map(|place| place.position) != Some(head) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    done.await.unwrap();
    stop.cancel();
    running.await.unwrap();
}

async fn counted(db: &Db) -> Result<i64, SqlError> {
    db.one("select n from counted", params![]).await?.get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_ahead_of_a_restored_log_begins_again_and_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let (live, log) = open(&DatabaseUrl::sqlite(place("live"))).await;
    let (consumes, _) = open(&DatabaseUrl::sqlite(place("consumes"))).await;
    log.append(booked(0, 2, Expected::NoStream)).await.unwrap();
    sqlite::vacuum_into(&place("live"), &place("copy"));
    log.append(booked(0, 2, Expected::Any)).await.unwrap();
    consume(&consumes, &log).await;
    assert_eq!(counted(&consumes).await.unwrap(), 4);
    drop((live, log));

    let (_restored, log) = open(&DatabaseUrl::sqlite(place("copy"))).await;
    assert_eq!(log.head().await.unwrap(), Position(2));
    // The feed does not go on from where the consumer was, however long it gets meanwhile.
    let kept = SqlConsumerStore::new(consumes.clone());
    let kept = kept.progress("counter").await.unwrap()[&log.id()];
    let relay = Relay::new("accounts", Arc::clone(&log), |_| Ok(vec![]));
    let said = relay.read(kept, 10).await.unwrap_err().to_string();
    assert!(said.contains("ends at 2"), "{said}");
    log.append(booked(0, 3, Expected::Any)).await.unwrap();
    let said = relay.read(kept, 10).await.unwrap_err().to_string();
    assert!(said.contains("at 4 it had event"), "{said}");
    // What was dealt with long ago is known by no key any more.
    consumes.exec("delete from inbox", params![]).await.unwrap();
    let script = BEGIN_AGAIN.replace("'LOG'", &format!("x'{}'", log.id().0.simple()));
    let script = script.replace("HEAD", "2");
    consumes.script(&script).await.unwrap();
    log.append(booked(0, 2, Expected::Any)).await.unwrap();
    consume(&consumes, &log).await;
    // The two that were restored were counted before, the two that were lost cannot be taken back.
    assert_eq!(counted(&consumes).await.unwrap(), 9);
}

#[tokio::test]
async fn marks_of_a_restored_log_go_back_to_its_head_and_those_of_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (db, _) = open(&DatabaseUrl::sqlite(folder.path())).await;
    let store = SqlConsumerStore::new(db.clone());
    let [restored, other] = [1, 2].map(|log| LogId(Uuid::from_u128(log)));
    let mark = |log, partition, position| Mark {
        log,
        partition,
        family: "accounts.booked".into(),
        position: Position(position),
        ahead: Some(Position(99)),
    };
    let marks = [
        mark(restored, 0, 7),
        mark(restored, 1, 40),
        mark(other, 1, 40),
    ];
    store.settle("by-broker", &marks).await.unwrap();
    let script = BEGIN_AGAIN.replace("'LOG'", &format!("x'{}'", restored.0.simple()));
    db.script(&script.replace("HEAD", "17")).await.unwrap();
    let mut after = store.marks("by-broker").await.unwrap();
    after.sort_by_key(|mark| (mark.log, mark.partition));
    let back = Mark {
        position: Position(17),
        ahead: None,
        ..marks[1].clone()
    };
    let [behind, _, others] = marks;
    assert_eq!(after, [behind, back, others]);
}
