//! An entry that cannot be applied is seen: it halts the projection, or goes aside with its stream.

use std::sync::atomic::Ordering;

use stanchion_eventsourcing::{Position, ProjectionState};
use stanchion_messaging::{ConsumerStore, DeadLetterFilter};
use stanchion_runtime::task;
use stanchion_sql::{ProjectorError, SqlConsumerStore};
use stanchion_telemetry::Metrics;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::accounts::{LONG, balance, book, projector, sound, stores, until};

#[tokio::test]
async fn a_halt_is_seen_everywhere_and_nobody_waits_for_it() {
    for (db, log) in stores().await {
        for cents in [1, -1, 1] {
            book(&log, "account", "a", cents).await;
        }
        let metrics = Metrics::default();
        let (running, knobs) = projector(&db, &log, true);
        let running = running.with_metrics(&metrics);
        let stop = CancellationToken::new();
        let task = task::spawn("projector", running.clone().run(stop.clone()));
        // Here, and in a process that does not run it.
        let (elsewhere, _) = projector(&db, &log, true);
        for projector in [&running, &elsewhere] {
            let behind = projector.wait_for(Position(3), Instant::now() + LONG);
            let behind = behind.await.unwrap_err();
            let said = behind.to_string();
            assert!(
                said.contains("position 2") && said.contains("negative"),
                "{said}"
            );
            assert_eq!((behind.at, behind.wanted), (Position(1), Position(3)));
            until("the status is halted", async || {
                projector.status().await.unwrap().state == ProjectionState::Halted
            })
            .await;
            let status = projector.status().await.unwrap();
            assert_eq!(
                (status.position, status.head, status.lag),
                (Position(1), Position(3), 2)
            );
            assert!(status.reason.unwrap().contains("negative"));
        }
        assert!(running.halted().unwrap().contains("position 2"));
        let text = metrics.encode();
        assert!(has(&text, "stanchion_projection_halted", "1"), "{text}");
        let letters = SqlConsumerStore::new(db.clone());
        let filter = DeadLetterFilter {
            limit: 10,
            ..DeadLetterFilter::default()
        };
        assert_eq!(letters.list(&filter).await.unwrap().len(), 1);

        knobs.poisoned.store(false, Ordering::SeqCst);
        elsewhere.resume().await.unwrap();
        until("who runs it learns of it", async || {
            let moved = running.wait_for(Position(3), Instant::now() + LONG);
            moved.await.is_ok()
        })
        .await;
        assert_eq!(balance(&db, "a").await, (1, 3));
        assert_eq!(
            running.status().await.unwrap().state,
            ProjectionState::Following
        );
        assert!(
            letters.list(&filter).await.unwrap().is_empty(),
            "the halt is over"
        );
        until("the metric falls", async || {
            has(&metrics.encode(), "stanchion_projection_halted", "0")
        })
        .await;
        stop.cancel();
        task.await.unwrap();
    }
}

fn has(text: &str, metric: &str, value: &str) -> bool {
    let line = text
        .lines()
        .find(|line| line.starts_with(metric) && line.contains('{'));
    line.is_some_and(|line| line.ends_with(&format!(" {value}")))
}

#[tokio::test]
async fn a_handler_that_panics_met_poison() {
    for (db, log) in stores().await {
        for cents in [1, 2, -1] {
            book(&log, "account", "a", cents).await;
        }
        let (projector, knobs) = sound(&db, &log);
        knobs.panics.store(true, Ordering::SeqCst);
        let halted = projector.catch_up().await.unwrap_err();
        let ProjectorError::Poison { position, reason } = halted else {
            panic!("{halted}");
        };
        assert_eq!(position, Position(3));
        assert!(reason.contains("panicked"), "{reason}");
        assert_eq!(balance(&db, "a").await, (3, 2));
    }
}

#[tokio::test]
async fn a_parked_entry_holds_back_its_stream_and_nothing_else() {
    for (db, log) in stores().await {
        let entries = [("a", 1), ("a", -5), ("b", 1), ("a", 10), ("b", 2)];
        for (account, cents) in entries {
            book(&log, "account", account, cents).await;
        }
        let (projector, knobs) = projector(&db, &log, true);
        let projector = projector.parking_poison();
        assert_eq!(projector.catch_up().await.unwrap(), Position(5));
        assert_eq!(balance(&db, "a").await, (1, 1), "what comes after it waits");
        assert_eq!(balance(&db, "b").await, (3, 2));
        assert_eq!(projector.status().await.unwrap().parked, 2);

        // Still poison: it stays, with what waits behind it. Over a restart as well.
        let (again, other_knobs) = crate::accounts::projector(&db, &log, true);
        let again = again.parking_poison();
        assert_eq!(again.retry_parked().await.unwrap(), 2);
        book(&log, "account", "a", 100).await;
        again.catch_up().await.unwrap();
        assert_eq!(balance(&db, "a").await, (1, 1));
        assert_eq!(again.status().await.unwrap().parked, 3);

        other_knobs.poisoned.store(false, Ordering::SeqCst);
        again.retry_parked().await.unwrap();
        again.catch_up().await.unwrap();
        assert_eq!(balance(&db, "a").await, (106, 4));
        assert_eq!(again.status().await.unwrap().parked, 0);
        assert!(again.verify().await.unwrap().holds());
        drop(knobs);
    }
}
