//! A rebuild is one process's at a time, and none is gone on with by other code.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use stanchion_eventsourcing::EventLog;
use stanchion_runtime::task;
use stanchion_sql::{Db, Engine, Projector, params};
use tokio_util::sync::CancellationToken;

use crate::accounts::{Balances, Knobs, balance, sound, stores, until};
use crate::rebuilds::{fill, stuck_after, total};

/// A rebuild of 3,000 entries that was killed at the 2,500th, of rows with a wrong one.
async fn killed_rebuild(db: &Db, log: &Arc<dyn EventLog>) {
    fill(log, 3_000).await;
    let (projector, knobs) = stuck_after(db, log, 2_500);
    projector.catch_up().await.unwrap();
    let wrong = "insert into balances (account, cents, n) values ('wrong', 7, 0)";
    db.exec(wrong, params![]).await.unwrap();
    let killed = task::spawn(
        "rebuild",
        async move { projector.rebuild().await.map(drop) },
    );
    until("it is stuck", async || {
        knobs.replayed.load(Ordering::SeqCst) >= 2_500
    })
    .await;
    killed.abort();
    let _ = killed.await;
}

/// Runs it until the wrong row is gone; how many entries were replayed for that.
async fn taken_up_by(db: &Db, projector: &Projector, knobs: &Knobs) -> usize {
    let stop = CancellationToken::new();
    let running = task::spawn("projector", projector.clone().run(stop.clone()));
    until("the wrong row is gone", async || {
        balance(db, "wrong").await == (0, 0)
    })
    .await;
    stop.cancel();
    running.await.unwrap();
    let replayed = knobs.replayed.load(Ordering::SeqCst);
    assert_eq!(total(db).await, 3_000);
    assert!(projector.verify().await.unwrap().holds());
    assert_eq!(projector.status().await.unwrap().rebuild, None);
    replayed
}

#[tokio::test]
async fn another_version_of_the_projection_begins_the_rebuild_anew() {
    for (db, log) in stores().await {
        killed_rebuild(&db, &log).await;
        let newer = Balances {
            version: 2,
            ..Balances::default()
        };
        let knobs = Arc::clone(&newer.knobs);
        let newer = Projector::new(db.clone(), Arc::clone(&log), newer);
        assert_eq!(taken_up_by(&db, &newer, &knobs).await, 3_000);
        let left = "select count(*) from checkpoint where name like '%rebuild%'";
        let left: i64 = db.one(left, params![]).await.unwrap().get(0).unwrap();
        assert_eq!(left, 0, "nothing is remembered of it");
    }
}

#[tokio::test]
async fn so_does_another_shape_of_its_tables() {
    for (db, log) in stores().await {
        killed_rebuild(&db, &log).await;
        db.script("alter table balances add column note text")
            .await
            .unwrap();
        let (projector, knobs) = sound(&db, &log);
        assert_eq!(taken_up_by(&db, &projector, &knobs).await, 3_000);
    }
}

#[tokio::test]
async fn a_rebuild_of_other_code_can_be_given_up_as_any() {
    for (db, log) in stores().await {
        killed_rebuild(&db, &log).await;
        let newer = Balances {
            version: 2,
            ..Balances::default()
        };
        let newer = Projector::new(db.clone(), Arc::clone(&log), newer);
        assert!(newer.cancel_rebuild().await.unwrap());
        assert_eq!(newer.status().await.unwrap().rebuild, None);
        newer.rebuild().await.unwrap();
        assert_eq!(total(&db).await, 3_000);
    }
}

/// SQLite has no other process.
#[tokio::test]
async fn two_processes_never_rebuild_or_verify_the_same_projection_at_once() {
    for (db, log) in stores().await {
        if db.engine() == Engine::Sqlite {
            continue;
        }
        fill(&log, 1_000).await;
        let (first, knobs) = stuck_after(&db, &log, 500);
        first.catch_up().await.unwrap();
        let at_it = first.clone();
        let running = task::spawn("rebuild", async move { at_it.rebuild().await.map(drop) });
        until("it is stuck", async || {
            knobs.replayed.load(Ordering::SeqCst) >= 500
        })
        .await;
        let (second, _) = sound(&db, &log);
        for refused in [
            second.rebuild().await.map(drop),
            second.verify().await.map(drop),
        ] {
            let said = refused.unwrap_err().to_string();
            assert!(said.contains("another process"), "{said}");
        }
        // Whoever starts meanwhile leaves it alone as well, and takes it up once that process is gone.
        let stop = CancellationToken::new();
        let waiting = task::spawn("projector", second.clone().run(stop.clone()));
        running.abort();
        let _ = running.await;
        until("it is taken up and done", async || {
            second.status().await.unwrap().rebuild.is_none()
        })
        .await;
        stop.cancel();
        waiting.await.unwrap();
        assert_eq!(total(&db).await, 1_000);
        assert!(second.verify().await.unwrap().holds());
    }
}

/// SQLite has no other process.
#[tokio::test]
async fn who_lost_the_turn_unnoticed_does_not_swap() {
    for (db, log) in stores().await {
        if db.engine() == Engine::Sqlite {
            continue;
        }
        fill(&log, 1_000).await;
        let (projector, knobs) = sound(&db, &log);
        projector.catch_up().await.unwrap();
        let wrong = "insert into balances (account, cents, n) values ('wrong', 7, 0)";
        db.exec(wrong, params![]).await.unwrap();
        let taken = db.clone();
        let lost = async move {
            // As when a process stood still for longer than its lease, and another one took it.
            let sql = "update lease set token = token + 1 where name like 'projection/%/turn'";
            assert_eq!(taken.exec(sql, params![]).await.unwrap(), 1);
        };
        *knobs.meanwhile.lock() = Some((900, Box::pin(lost)));
        let refused = projector.rebuild().await.unwrap_err().to_string();
        assert!(refused.contains("lost"), "{refused}");
        assert_eq!(
            balance(&db, "wrong").await,
            (7, 0),
            "the live rows are as they were"
        );
    }
}
