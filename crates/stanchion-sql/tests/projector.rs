//! A projection's rows and its checkpoint move together.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use stanchion_eventsourcing::{
    Append, EventLog, Expected, Filter, Metadata, NewEvent, Position, Projection, ProjectionError,
    Recorded, StreamId,
};
use stanchion_runtime::{id, task};
use stanchion_sql::{Db, Migrations, Mode, Projector, ProjectorError, SqlLog, Tx, migrate, params};
use stanchion_telemetry::Metrics;
use support::databases;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

struct Balances {
    queued: bool,
    poisoned: Arc<AtomicBool>,
}

#[async_trait]
impl Projection<Tx> for Balances {
    fn name(&self) -> &'static str {
        "balances"
    }

    fn filter(&self) -> Filter {
        Filter::category("account")
    }

    async fn apply(&self, tx: &mut Tx, event: &Recorded) -> Result<(), ProjectionError> {
        let cents = event.data["cents"].as_i64().unwrap_or_default();
        if cents < 0 && self.poisoned.load(Ordering::SeqCst) {
            return Err(ProjectionError::Poison("negative".into()));
        }
        let sql =
            "insert into balances (account, cents, n) values ($1, $2, 1) on conflict (account)
                   do update set cents = balances.cents + excluded.cents, n = balances.n + 1";
        let params = params![event.stream.id(), cents];
        if self.queued {
            tx.queue(sql, params);
        } else {
            tx.exec(sql, params).await?;
        }
        Ok(())
    }

    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError> {
        tx.exec("delete from balances", params![]).await?;
        Ok(())
    }
}

async fn stores() -> Vec<(Db, Arc<dyn EventLog>)> {
    let balances = Migrations::new("accounts").with(
        1,
        "balances",
        "create table balances (account text primary key, cents bigint not null check (cents < 1000000), n bigint not null)",
        "drop table balances",
    );
    let mut all = Vec::new();
    for db in databases().await {
        migrate(&db, std::slice::from_ref(&balances), Mode::Auto)
            .await
            .unwrap();
        let log: Arc<dyn EventLog> = Arc::new(SqlLog::open(db.clone()).await.unwrap());
        all.push((db, log));
    }
    all
}

async fn book(log: &Arc<dyn EventLog>, category: &str, account: &str, cents: i64) -> Position {
    let event = NewEvent {
        id: id::new_v7(),
        kind: "booked".into(),
        data: json!({ "cents": cents }),
    };
    let append = Append {
        stream: StreamId::new(category, account),
        expected: Expected::Any,
        events: vec![event],
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    };
    log.append(append).await.unwrap().position
}

fn projector(db: &Db, log: &Arc<dyn EventLog>, queued: bool) -> (Projector, Arc<AtomicBool>) {
    let poisoned = Arc::new(AtomicBool::new(true));
    let balances = Balances {
        queued,
        poisoned: Arc::clone(&poisoned),
    };
    (
        Projector::new(db.clone(), Arc::clone(log), balances),
        poisoned,
    )
}

async fn balance(db: &Db, account: &str) -> (i64, i64) {
    let sql = "select cents, n from balances where account = $1";
    let row = db.opt(sql, params![account]).await.unwrap();
    row.map_or((0, 0), |row| (row.get(0).unwrap(), row.get(1).unwrap()))
}

#[tokio::test]
async fn every_entry_is_applied_once_also_over_a_restart() {
    for (db, log) in stores().await {
        for queued in [true, false] {
            for n in 0..150 {
                book(&log, ["account", "other"][n % 2], "a", 1).await;
            }
            let (one, _) = projector(&db, &log, queued);
            one.catch_up().await.unwrap();
            let (again, _) = projector(&db, &log, queued);
            assert_eq!(again.catch_up().await.unwrap(), log.head().await.unwrap());
            assert_eq!(again.lag().await.unwrap(), 0);
        }
        assert_eq!(balance(&db, "a").await, (150, 150));
    }
}

#[tokio::test]
async fn a_reader_waits_for_its_own_write() {
    for (db, log) in stores().await {
        let metrics = Metrics::default();
        db.register(&metrics);
        let (projector, _) = projector(&db, &log, true);
        let projector = projector.with_metrics(&metrics);
        let stop = CancellationToken::new();
        let running = task::spawn("projector", projector.clone().run(stop.clone()));
        let far = Position(1_000);
        let soon = Instant::now() + Duration::from_millis(50);
        assert_eq!(projector.wait_for(far, soon).await.unwrap_err().wanted, far);
        for _ in 0..20 {
            let position = book(&log, "account", "a", 1).await;
            let deadline = Instant::now() + Duration::from_secs(10);
            projector.wait_for(position, deadline).await.unwrap();
            assert_eq!(balance(&db, "a").await.0, position.0);
        }
        stop.cancel();
        running.await.unwrap();
        let text = metrics.encode();
        assert!(text.contains("stanchion_projection_lag{"), "{text}");
        assert!(text.contains("stanchion_db_transactions_total{"), "{text}");
    }
}

#[tokio::test]
async fn a_poisonous_entry_halts_and_nothing_after_it_is_applied() {
    for (db, log) in stores().await {
        for cents in [1, -1, 1] {
            book(&log, "account", "a", cents).await;
        }
        let (projector, poisoned) = projector(&db, &log, true);
        let halted = projector.catch_up().await.unwrap_err();
        assert!(
            matches!(
                halted,
                ProjectorError::Poison {
                    position: Position(2),
                    ..
                }
            ),
            "{halted}"
        );
        assert_eq!(
            balance(&db, "a").await,
            (1, 1),
            "up to the entry, not further"
        );
        poisoned.store(false, Ordering::SeqCst);
        projector.catch_up().await.unwrap();
        assert_eq!(balance(&db, "a").await, (1, 3));
    }
}

#[tokio::test]
async fn a_constraint_that_fires_is_poison_whether_queued_or_not() {
    for (db, log) in stores().await {
        for cents in [1, 2_000_000, 1] {
            book(&log, "account", "a", cents).await;
        }
        for queued in [true, false] {
            let halted = projector(&db, &log, queued).0.catch_up().await.unwrap_err();
            assert!(
                matches!(
                    halted,
                    ProjectorError::Poison {
                        position: Position(2),
                        ..
                    }
                ),
                "{halted}"
            );
            assert_eq!(balance(&db, "a").await, (1, 1));
        }
    }
}

#[tokio::test]
async fn a_rebuild_replays_everything_into_empty_rows() {
    for (db, log) in stores().await {
        for _ in 0..5 {
            book(&log, "account", "a", 2).await;
        }
        let (projector, _) = projector(&db, &log, true);
        projector.catch_up().await.unwrap();
        db.exec("update balances set cents = 7", params![])
            .await
            .unwrap();
        projector.rebuild().await.unwrap();
        assert_eq!(balance(&db, "a").await, (10, 5));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_projectors_never_apply_an_entry_twice() {
    for (db, log) in stores().await {
        let stop = CancellationToken::new();
        let running: Vec<_> = (0..2)
            .map(|_| task::spawn("projector", projector(&db, &log, true).0.run(stop.clone())))
            .collect();
        for _ in 0..60 {
            book(&log, "account", "a", 1).await;
        }
        let (watcher, _) = projector(&db, &log, true);
        for _ in 0..200 {
            if balance(&db, "a").await.1 >= 60 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stop.cancel();
        for task in running {
            task.await.unwrap();
        }
        watcher.catch_up().await.unwrap();
        assert_eq!(balance(&db, "a").await, (60, 60));
    }
}
