//! An entry that cannot be applied is seen: it halts the projection, or goes aside with its stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use stanchion_eventsourcing::{
    Altered, Alters, EventLog, Filter, LogError, Position, ProjectionState, Recorded,
};
use stanchion_messaging::{ConsumerStore, DeadLetterFilter};
use stanchion_runtime::task;
use stanchion_sql::{ProjectorError, SqlConsumerStore, params};
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
        until("the metric tells", async || {
            has(&metrics.encode(), "stanchion_projection_halted", "1")
        })
        .await;
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
        // Both are said a moment after the rows are there.
        until("it follows", async || {
            running.status().await.unwrap().state == ProjectionState::Following
        })
        .await;
        until("the halt is over", async || {
            letters.list(&filter).await.unwrap().is_empty()
        })
        .await;
        until("the metric falls", async || {
            has(&metrics.encode(), "stanchion_projection_halted", "0")
        })
        .await;
        stop.cancel();
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_halt_of_catch_up_is_noted_for_others_to_see() {
    for (db, log) in stores().await {
        for cents in [1, -1] {
            book(&log, "account", "a", cents).await;
        }
        let (once, _) = projector(&db, &log, true);
        once.catch_up().await.unwrap_err();
        drop(once);
        let (elsewhere, _) = sound(&db, &log);
        let status = elsewhere.status().await.unwrap();
        assert_eq!(status.state, ProjectionState::Halted);
        assert!(status.reason.unwrap().contains("negative"));
        elsewhere.catch_up().await.unwrap();
        let status = elsewhere.status().await.unwrap();
        assert_eq!(
            (status.state, status.parked),
            (ProjectionState::NotRunHere, 0)
        );
    }
}

#[tokio::test]
async fn a_parked_entry_that_cannot_be_read_holds_back_its_stream_alone() {
    for (db, log) in stores().await {
        for (account, cents) in [("a", -5), ("b", 1)] {
            book(&log, "account", account, cents).await;
        }
        let (projector, knobs) = projector(&db, &log, true);
        let projector = projector.parking_poison();
        projector.catch_up().await.unwrap();
        knobs.poisoned.store(false, Ordering::SeqCst);
        let spoil = "update event set checksum = checksum + $1 where position = 1";
        db.exec(spoil, params![1]).await.unwrap();

        projector.retry_parked().await.unwrap();
        book(&log, "account", "b", 1).await;
        assert_eq!(projector.catch_up().await.unwrap(), Position(3));
        assert_eq!(balance(&db, "b").await, (2, 2));
        assert_eq!(projector.status().await.unwrap().parked, 1);
        let letters = SqlConsumerStore::new(db.clone());
        let filter = DeadLetterFilter {
            limit: 10,
            ..DeadLetterFilter::default()
        };
        let said = letters.list(&filter).await.unwrap()[0].reason.clone();
        assert!(said.contains("cannot be read"), "{said}");

        // Mended and asked for, it is as any other.
        db.exec(spoil, params![-1]).await.unwrap();
        projector.retry_parked().await.unwrap();
        projector.catch_up().await.unwrap();
        assert_eq!(balance(&db, "a").await, (-5, 1));
        assert_eq!(projector.status().await.unwrap().parked, 0);
    }
}

/// A log that does not answer for one entry alone.
struct Unreadable {
    log: Arc<dyn EventLog>,
    at: Position,
    out: AtomicBool,
}

#[async_trait]
impl Alters for Unreadable {
    fn inner(&self) -> &dyn EventLog {
        &*self.log
    }

    async fn read(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        if after.next() == self.at && limit == 1 && self.out.load(Ordering::SeqCst) {
            return Err(LogError::Unavailable("nobody answers for it".into()));
        }
        self.log.read(after, filter, limit).await
    }
}

#[tokio::test]
async fn what_the_log_does_not_answer_for_is_tried_again_and_said_meanwhile() {
    for (db, log) in stores().await {
        for (account, cents) in [("b", 1), ("a", -5), ("b", 1)] {
            book(&log, "account", account, cents).await;
        }
        let unreadable = Arc::new(Altered(Unreadable {
            log: Arc::clone(&log),
            at: Position(2),
            out: AtomicBool::new(true),
        }));
        let seen: Arc<dyn EventLog> = Arc::<Altered<Unreadable>>::clone(&unreadable);
        let (projector, knobs) = projector(&db, &seen, true);
        let projector = projector.parking_poison();
        projector.catch_up().await.unwrap();
        assert_eq!(projector.status().await.unwrap().parked, 1);
        knobs.poisoned.store(false, Ordering::SeqCst);
        projector.retry_parked().await.unwrap();
        book(&log, "account", "b", 1).await;
        assert_eq!(projector.catch_up().await.unwrap(), Position(4));
        assert_eq!(balance(&db, "b").await, (3, 3));
        let status = projector.status().await.unwrap();
        assert_eq!(status.parked, 1);
        assert!(status.parked_reason.unwrap().contains("nobody answers"));

        unreadable.out.store(false, Ordering::SeqCst);
        until("it is tried again by itself", async || {
            projector.catch_up().await.unwrap();
            balance(&db, "a").await == (-5, 1)
        })
        .await;
        let status = projector.status().await.unwrap();
        assert_eq!((status.parked, status.parked_reason), (0, None));
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
