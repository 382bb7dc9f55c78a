//! A projection's rows and its checkpoint move together.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use stanchion_eventsourcing::Position;
use stanchion_runtime::task;
use stanchion_sql::{Projector, ProjectorError, params};
use stanchion_telemetry::Metrics;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::accounts::{Balances, balance, book, booked, projector, stores};

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
        let (projector, knobs) = projector(&db, &log, true);
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
        knobs.poisoned.store(false, Ordering::SeqCst);
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

#[tokio::test]
async fn a_batch_folded_in_memory_makes_the_same_rows() {
    for (db, log) in stores().await {
        for n in 0..40 {
            let account = format!("{}", n % 7);
            let append = booked("account", &account, &[n; 30]);
            log.append(append).await.unwrap();
        }
        let folding = Balances {
            folded: true,
            ..Balances::default()
        };
        let projector = Projector::new(db.clone(), Arc::clone(&log), folding);
        projector.catch_up().await.unwrap();
        let wanted: i64 = (0..40).filter(|n| n % 7 == 3).map(|n| n * 30).sum();
        assert_eq!(balance(&db, "3").await, (wanted, 6 * 30));
        let verified = projector.verify().await.unwrap();
        assert!(verified.holds() && verified.rows == 7, "{verified:?}");
    }
}

#[tokio::test]
async fn entries_of_others_move_the_checkpoint_too() {
    for (db, log) in stores().await {
        book(&log, "account", "a", 1).await;
        let last = book(&log, "other", "a", 1).await;
        let (first, _) = projector(&db, &log, true);
        assert_eq!(first.catch_up().await.unwrap(), last);
        let sql = "select position, event_id is not null from checkpoint where name = $1";
        let row = db.one(sql, params!["projection/balances"]).await.unwrap();
        assert_eq!(row.get::<Position>(0).unwrap(), last);
        assert!(row.get::<bool>(1).unwrap(), "it names the event it saw");
    }
}
