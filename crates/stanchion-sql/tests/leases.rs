//! Leases: one holder, and a stale one cannot write.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use stanchion_runtime::task;
use stanchion_sql::{Db, Lease, LeaseError, Leases, Mode, migrate, params};
use support::databases;
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(150);

async fn stores() -> Vec<Db> {
    let all = databases().await;
    for db in &all {
        migrate(db, &[], Mode::Auto).await.unwrap();
    }
    all
}

#[tokio::test]
async fn a_lease_has_one_holder_until_it_is_given_up_or_expires() {
    for db in stores().await {
        let (one, two) = (Leases::new(db.clone()), Leases::new(db.clone()));
        let first = one.take("tidy", LONG).await.unwrap().unwrap();
        assert!(two.take("tidy", LONG).await.unwrap().is_none());
        assert!(two.take("other", LONG).await.unwrap().is_some());
        one.release(&first).await.unwrap();
        let second = two.take("tidy", LONG).await.unwrap().unwrap();
        assert!(second.token() > first.token());
        assert!(!one.renew(&first, LONG).await.unwrap());
        // From here on it is a matter of time.
        assert!(two.renew(&second, SHORT).await.unwrap());
        tokio::time::sleep(SHORT * 2).await;
        assert!(
            !two.renew(&second, SHORT).await.unwrap(),
            "too late is lost"
        );
        assert!(one.take("tidy", LONG).await.unwrap().unwrap().token() > second.token());
    }
}

#[tokio::test]
async fn a_lease_given_by_a_clock_that_was_set_back_since_is_held_by_nobody() {
    for db in stores().await {
        // A release before this one does not say when it gave a lease.
        for says_when in [true, false] {
            let (one, two) = (Leases::new(db.clone()), Leases::new(db.clone()));
            let name = if says_when { "tidy" } else { "tidy of old" };
            let dead = one.take(name, LONG).await.unwrap().unwrap();
            let set = async |given: jiff::Timestamp| {
                let sql = "update lease set expires_at = $1, granted_at = $2 where name = $3";
                let at = says_when.then_some(given);
                db.exec(sql, params![given + LONG, at, name]).await.unwrap();
            };
            let now = stanchion_runtime::clock::now();
            // What clocks of several machines may differ by.
            set(now + LONG * 2).await;
            assert!(two.take(name, LONG).await.unwrap().is_none());
            set(now + LONG * 1_000).await;
            let taken = two.take(name, LONG).await.unwrap();
            assert!(taken.unwrap().token() > dead.token());
            assert!(!one.renew(&dead, LONG).await.unwrap());
            assert!(one.take(name, LONG).await.unwrap().is_none());
        }
    }
}

#[tokio::test]
async fn a_lease_that_is_asked_for_with_a_shorter_time_stays_its_holders() {
    for db in stores().await {
        let (one, two) = (Leases::new(db.clone()), Leases::new(db.clone()));
        let held = one.take("tidy", LONG * 20).await.unwrap().unwrap();
        assert!(two.take("tidy", SHORT).await.unwrap().is_none());
        assert!(one.renew(&held, LONG * 20).await.unwrap());
        assert!(two.take("tidy", SHORT).await.unwrap().is_none());
        let tx = db.begin();
        one.guard(&tx, &held).await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_stale_holders_write_is_refused() {
    for db in stores().await {
        let (one, two) = (Leases::new(db.clone()), Leases::new(db.clone()));
        let stale = one.take("tidy", LONG).await.unwrap().unwrap();
        let tx = db.begin();
        one.guard(&tx, &stale).await.unwrap();
        tx.commit().await.unwrap();
        assert!(one.renew(&stale, SHORT).await.unwrap());
        tokio::time::sleep(SHORT * 2).await;
        let current = two.take("tidy", LONG).await.unwrap().unwrap();
        let tx = db.begin();
        assert!(matches!(
            one.guard(&tx, &stale).await,
            Err(LeaseError::Lost(_))
        ));
        drop(tx);
        let tx = db.begin();
        two.guard(&tx, &current).await.unwrap();
        tx.exec("delete from timer", params![]).await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_runs_in_one_holder_at_a_time_and_moves_on_when_it_stops() {
    for db in stores().await {
        let running = Arc::new(AtomicI64::new(0));
        let runs = Arc::new(AtomicI64::new(0));
        let stops: Vec<_> = (0..3).map(|_| CancellationToken::new()).collect();
        let tasks: Vec<_> = stops
            .iter()
            .map(|stop| {
                let (leases, stop) = (Leases::new(db.clone()), stop.clone());
                let (running, runs) = (Arc::clone(&running), Arc::clone(&runs));
                task::spawn("holder", async move {
                    let work = |_lease, held: CancellationToken| {
                        let (running, runs) = (Arc::clone(&running), Arc::clone(&runs));
                        async move {
                            assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                            runs.fetch_add(1, Ordering::SeqCst);
                            held.cancelled().await;
                            running.fetch_sub(1, Ordering::SeqCst);
                        }
                    };
                    leases
                        .hold("singleton", Duration::from_secs(3), &stop, work)
                        .await;
                })
            })
            .collect();
        for (stop, task) in stops.into_iter().zip(tasks) {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            stop.cancel();
            task.await.unwrap();
        }
        assert!(runs.load(Ordering::SeqCst) >= 1);
    }
}

#[tokio::test]
async fn a_lease_that_is_heard_of_when_it_is_over_is_not_worked_by() {
    let db = Db::memory("late").unwrap();
    migrate(&db, &[], Mode::Auto).await.unwrap();
    tokio::time::pause();
    // What is written before it keeps the question waiting.
    let (go_on, waits) = std::sync::mpsc::channel::<()>();
    let writer = db.clone();
    let writing = task::spawn("writing", async move {
        writer
            .sqlite_write(move |_| {
                waits.recv().unwrap();
                Ok(())
            })
            .await
    });
    while db.status().waiting < 1 {
        tokio::task::yield_now().await;
    }
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (stop, leases) = (CancellationToken::new(), Leases::new(db.clone()));
    let stops = stop.clone();
    let holding = task::spawn("holder", async move {
        let work = |lease: Lease, _held| {
            let _first_only = tell.send(lease.token());
            std::future::ready(())
        };
        leases.hold("tidy", LONG, &stops, work).await;
    });
    while db.status().waiting < 2 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(LONG).await;
    go_on.send(()).unwrap();
    writing.await.unwrap().unwrap();
    assert_eq!(told.recv().await, Some(2), "the first one was over");
    stop.cancel();
    holding.await.unwrap();
}
