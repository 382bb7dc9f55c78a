//! Pause, resume, and readers in processes that do not run the projection.

use stanchion_eventsourcing::{Position, ProjectionState};
use stanchion_runtime::task;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::accounts::{LONG, balance, book, sound, stores, until};

#[tokio::test]
async fn a_pause_holds_over_a_restart_until_it_is_resumed() {
    for (db, log) in stores().await {
        book(&log, "account", "a", 1).await;
        let (first, _) = sound(&db, &log);
        first.catch_up().await.unwrap();
        first.pause().await.unwrap();
        book(&log, "account", "a", 1).await;

        let (second, knobs) = sound(&db, &log);
        let stop = CancellationToken::new();
        let running = task::spawn("projector", second.clone().run(stop.clone()));
        until("it is paused", async || {
            second.status().await.unwrap().state == ProjectionState::Paused
        })
        .await;
        let status = second.status().await.unwrap();
        assert_eq!((status.position, status.lag), (Position(1), 1));
        assert_eq!(balance(&db, "a").await, (1, 1));
        assert_eq!(knobs.live.load(std::sync::atomic::Ordering::SeqCst), 0);

        first.resume().await.unwrap();
        second
            .wait_for(Position(2), Instant::now() + LONG)
            .await
            .unwrap();
        assert_eq!(balance(&db, "a").await, (2, 2));
        stop.cancel();
        running.await.unwrap();
        let stopped = second.status().await.unwrap();
        assert_eq!(stopped.state, ProjectionState::NotRunHere);
    }
}

#[tokio::test]
async fn a_process_that_does_not_run_it_waits_for_the_stored_checkpoint() {
    for (db, log) in stores().await {
        let (running, _) = sound(&db, &log);
        let (reading, _) = sound(&db, &log);
        let position = book(&log, "account", "a", 1).await;
        let waiting = task::spawn("reader", async move {
            reading.wait_for(position, Instant::now() + LONG).await
        });
        running.catch_up().await.unwrap();
        waiting.await.unwrap().unwrap();
        assert_eq!(balance(&db, "a").await, (1, 1));
    }
}
