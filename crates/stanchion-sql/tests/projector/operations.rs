//! Pause, resume, and readers in processes that do not run the projection.

use std::sync::Arc;

use stanchion_eventsourcing::{Filter, Position, ProjectionState, Subscription, SubscriptionState};
use stanchion_runtime::task;
use stanchion_sql::{SqlCheckpoints, verify_log};
use tokio::time::{Instant, timeout};
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
async fn the_pause_of_a_subscription_is_kept_in_the_store_and_leaves_the_log_sound() {
    for (db, log) in stores().await {
        book(&log, "account", "a", 1).await;
        let mailer = || {
            let checkpoints = Arc::new(SqlCheckpoints::new(db.clone()));
            let all = Filter::all();
            Subscription::new("mailer", Arc::clone(&log), checkpoints, all, async |_| {
                Ok(())
            })
        };
        mailer().pause().await.unwrap();
        assert!(verify_log(&db).await.unwrap().holds());
        let (second, stop) = (mailer(), CancellationToken::new());
        let running = task::spawn("mailer", second.clone().run(stop.clone()));
        let mut state = second.state();
        let paused = state.wait_for(|state| *state == SubscriptionState::Paused);
        timeout(LONG, paused).await.unwrap().unwrap();
        assert_eq!(*second.position().borrow(), Position::START);
        second.resume().await.unwrap();
        let mut at = second.position();
        let reached = at.wait_for(|at| *at == Position(1));
        timeout(LONG, reached).await.unwrap().unwrap();
        stop.cancel();
        running.await.unwrap();
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
