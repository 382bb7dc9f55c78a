//! Killed at any point and started again, every entry is applied exactly once.

use std::sync::Arc;
use std::time::Duration;

use stanchion_eventsourcing::{EventLog, Position};
use stanchion_runtime::task;
use stanchion_sql::{Db, Projector};
use tokio_util::sync::CancellationToken;

use crate::accounts::{Balances, LONG, balance, booked, stores};

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

fn fresh(db: &Db, log: &Arc<dyn EventLog>, n: u64) -> Projector {
    let balances = Balances {
        queued: n.is_multiple_of(2),
        folded: n.is_multiple_of(3),
        ..Balances::default()
    };
    Projector::new(db.clone(), Arc::clone(log), balances)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aborted_at_any_point_every_entry_is_applied_once() {
    for (db, log) in stores().await {
        let mut dice = Dice(7);
        let mut expected = 0;
        for round in 0..40 {
            let running = task::spawn(
                "projector",
                fresh(&db, &log, round).run(CancellationToken::new()),
            );
            for _ in 0..3 {
                let some = 1 + dice.roll(200) as usize;
                log.append(booked("account", "a", &vec![1; some]))
                    .await
                    .unwrap();
                expected += some as i64;
                tokio::time::sleep(Duration::from_micros(dice.roll(4_000))).await;
            }
            running.abort();
            let _ = running.await;
        }
        let last = fresh(&db, &log, 1);
        assert_eq!(last.catch_up().await.unwrap(), Position(expected));
        assert_eq!(balance(&db, "a").await, (expected, expected));
        assert!(last.verify().await.unwrap().holds());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_are_aborted_in_turn_never_apply_an_entry_twice() {
    for (db, log) in stores().await {
        let mut dice = Dice(11);
        let mut running: Vec<_> = (0..2)
            .map(|n| {
                task::spawn(
                    "projector",
                    fresh(&db, &log, n).run(CancellationToken::new()),
                )
            })
            .collect();
        let mut expected = 0;
        for round in 0..60 {
            let some = 1 + dice.roll(50) as usize;
            log.append(booked("account", "a", &vec![1; some]))
                .await
                .unwrap();
            expected += some as i64;
            if dice.roll(3) == 0 {
                let fresh = fresh(&db, &log, round).run(CancellationToken::new());
                let killed = std::mem::replace(
                    &mut running[dice.roll(2) as usize],
                    task::spawn("projector", fresh),
                );
                killed.abort();
            }
        }
        let watcher = fresh(&db, &log, 0);
        let deadline = tokio::time::Instant::now() + LONG;
        watcher
            .wait_for(Position(expected), deadline)
            .await
            .unwrap();
        for task in running {
            task.abort();
        }
        assert_eq!(balance(&db, "a").await, (expected, expected));
    }
}
