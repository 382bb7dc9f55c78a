//! The runbook `docs/runbooks/backup-and-restore.md`, rehearsed with its own scripts.
#![allow(clippy::unwrap_used)]

mod consumers;
mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use stanchion_eventsourcing::{
    Append, EventLog, Expected, Filter, Metadata, NewEvent, Position, Projection, ProjectionError,
    Recorded, StreamId,
};
use stanchion_runtime::id;
use stanchion_sql::{
    DatabaseSettings, DatabaseUrl, Db, Migrations, Mode, Projector, SqlLog, Tx, migrate, params,
    verify_log,
};
use uuid::Uuid;

/// Events of each part of the story.
const PART: usize = 2_000;

/// Events of one append.
const APPEND: usize = 50;

/// Counts the events of each account.
struct Counted;

#[async_trait]
impl Projection<Tx> for Counted {
    fn name(&self) -> &'static str {
        "counted"
    }

    fn filter(&self) -> Filter {
        Filter::category("account")
    }

    fn tables(&self) -> &'static [&'static str] {
        &["counted"]
    }

    async fn apply(&self, tx: &mut Tx, event: &Recorded) -> Result<(), ProjectionError> {
        self.apply_batch(tx, std::slice::from_ref(event)).await
    }

    async fn apply_batch(&self, tx: &mut Tx, events: &[Recorded]) -> Result<(), ProjectionError> {
        let mut counts = BTreeMap::<&str, i64>::new();
        for event in events {
            *counts.entry(event.stream.id()).or_default() += 1;
        }
        let rows = counts.into_iter().map(|(account, n)| params![account, n]);
        tx.queue_rows(
            "insert into counted (account, n) values",
            rows.collect(),
            "on conflict (account) do update set n = counted.n + excluded.n",
        );
        Ok(())
    }

    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError> {
        tx.queue("delete from counted", params![]);
        Ok(())
    }
}

async fn open(url: &DatabaseUrl) -> (Db, Arc<dyn EventLog>) {
    let counted = Migrations::new("accounts").with(
        1,
        "counted",
        "create table counted (account text primary key, n bigint not null)",
        "drop table counted",
    );
    let settings = DatabaseSettings::default();
    let db = Db::open(url, "accounts", &settings).await.unwrap();
    migrate(&db, &[counted], Mode::Auto).await.unwrap();
    let log = SqlLog::open(db.clone()).await.unwrap();
    (db, Arc::new(log))
}

fn booked(account: usize, events: usize, expected: Expected) -> Append {
    let event = |_| NewEvent {
        id: id::new_v7(),
        kind: "booked".into(),
        data: json!({ "cents": 1 }).into(),
    };
    Append {
        stream: StreamId::new("account", account.to_string()),
        expected,
        events: (0..events).map(event).collect(),
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    }
}

/// Books so many events; the log's head then.
async fn book(log: &Arc<dyn EventLog>, events: usize) -> Position {
    for account in 0..events / APPEND {
        let append = booked(account, APPEND, Expected::Any);
        log.append(append).await.unwrap();
    }
    log.head().await.unwrap()
}

async fn ids(log: &Arc<dyn EventLog>) -> Vec<Uuid> {
    let mut all: Vec<Recorded> = Vec::new();
    loop {
        let after = all
            .last()
            .map_or(Position::START, |last: &Recorded| last.position);
        let page = log.read(after, &Filter::all(), 10_000).await.unwrap();
        if page.is_empty() {
            return all.iter().map(|event| event.id).collect();
        }
        all.extend(page);
    }
}

async fn assert_sound(db: &Db) {
    let report = verify_log(db).await.unwrap();
    assert!(report.holds(), "{report}");
}

/// Rows went back with their log: both go on as if nothing had been.
async fn assert_goes_on(db: &Db, log: &Arc<dyn EventLog>) {
    let projector = Projector::new(db.clone(), Arc::clone(log), Counted);
    let head = log.head().await.unwrap();
    assert_eq!(projector.catch_up().await.unwrap(), head);
    assert!(projector.verify().await.unwrap().holds());
    let stream = booked(0, 0, Expected::Any).stream;
    let last = log.read_stream_backward(&stream, None, 1).await.unwrap();
    let next = booked(0, 1, Expected::Exact(last[0].version));
    let next = log.append(next).await.unwrap();
    assert_eq!(next.position, head.next());
    projector.catch_up().await.unwrap();
    let sum = "select cast(sum(n) as bigint) from counted";
    let row = db.one(sum, params![]).await.unwrap();
    assert_eq!(row.get::<i64>(0).unwrap(), next.position.0);
}

fn runbook(script: &str) -> PathBuf {
    let runbooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbooks");
    runbooks.join(script).canonicalize().unwrap()
}
