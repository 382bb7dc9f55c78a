//! A rebuild beside the live rows: no reader sees a gap, a kill loses no work, nothing reaches the outside twice.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use stanchion_eventsourcing::{EventLog, Position};
use stanchion_runtime::task;
use stanchion_sql::{Db, Projector, params};
use tokio_util::sync::CancellationToken;

use crate::accounts::{Balances, Knobs, balance, book, booked, sound, stores, until};

/// Appends so many entries in all, to 10 accounts.
pub(crate) async fn fill(log: &Arc<dyn EventLog>, entries: usize) {
    for n in 0..entries / 100 {
        let append = booked("account", &format!("{}", n % 10), &[1; 100]);
        log.append(append).await.unwrap();
    }
}

pub(crate) async fn total(db: &Db) -> i64 {
    let sql = "select coalesce(sum(n), 0) from balances";
    let row = db
        .one(&format!("select cast(({sql}) as bigint)"), params![])
        .await
        .unwrap();
    row.get(0).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_no_gap_and_the_rows_equal_a_fresh_replay() {
    for (db, log) in stores().await {
        fill(&log, 5_000).await;
        let (projector, knobs) = sound(&db, &log);
        projector.catch_up().await.unwrap();
        // What only a rebuild can mend, and no reader may miss before.
        db.exec("insert into balances values ('wrong', 7, 0)", params![])
            .await
            .unwrap();
        let stop = CancellationToken::new();
        let running = task::spawn("projector", projector.clone().run(stop.clone()));
        let (writing, ending) = (Arc::clone(&log), stop.clone());
        let writer = task::spawn("writer", async move {
            let mut written = 0;
            while !ending.is_cancelled() {
                writing
                    .append(booked("account", "w", &[1; 7]))
                    .await
                    .unwrap();
                written += 7;
                // One account's row takes them all: unbounded, every rebuild would meet a much longer log.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            written
        });
        let (reading, ending) = (db.clone(), stop.clone());
        let reader = task::spawn("reader", async move {
            let (mut seen, mut reads) = (0, 0);
            while !ending.is_cancelled() {
                let now = total(&reading).await;
                assert!(now >= seen && now >= 5_000, "{now} rows after {seen}");
                (seen, reads) = (now, reads + 1);
            }
            reads
        });
        let mut rebuilt = Position::START;
        for _ in 0..3 {
            let at = projector.rebuild().await.unwrap();
            assert!(at > rebuilt, "it goes on meanwhile");
            rebuilt = at;
        }
        stop.cancel();
        let written = writer.await.unwrap();
        assert!(reader.await.unwrap() > 3);
        running.await.unwrap();
        projector.catch_up().await.unwrap();
        assert_eq!(total(&db).await, 5_000 + written);
        assert_eq!(balance(&db, "wrong").await, (0, 0));
        assert!(knobs.replayed.load(Ordering::SeqCst) >= 15_000);
        assert_eq!(
            knobs.live.load(Ordering::SeqCst) as i64,
            5_000 + written,
            "live entries are told apart and none comes twice"
        );
        let verified = projector.verify().await.unwrap();
        assert!(verified.holds(), "{verified:?}");
        let index = match db.engine() {
            stanchion_sql::Engine::Sqlite => "select 1 from sqlite_master where name = $1",
            stanchion_sql::Engine::Postgres => {
                "select 1 from pg_indexes where indexname = $1 and schemaname = current_schema()"
            }
        };
        let index = db.opt(index, params!["balances_by_cents"]).await.unwrap();
        assert!(index.is_some(), "names of indexes stay");
    }
}

/// A projector whose replay stops for good after so many entries.
pub(crate) fn stuck_after(
    db: &Db,
    log: &Arc<dyn EventLog>,
    entries: usize,
) -> (Projector, Arc<Knobs>) {
    let (projector, knobs) = sound(db, log);
    knobs.replay_stops_at.store(entries, Ordering::SeqCst);
    (projector, knobs)
}

#[tokio::test]
async fn a_killed_rebuild_is_taken_up_where_it_was() {
    for (db, log) in stores().await {
        fill(&log, 3_000).await;
        let (first, knobs) = stuck_after(&db, &log, 2_500);
        first.catch_up().await.unwrap();
        db.exec("insert into balances values ('wrong', 7, 0)", params![])
            .await
            .unwrap();
        let killed = first.clone();
        let killed = task::spawn("rebuild", async move { killed.rebuild().await.map(drop) });
        until("it is stuck", async || {
            knobs.replayed.load(Ordering::SeqCst) >= 2_500
        })
        .await;
        killed.abort();
        let _ = killed.await;
        drop(first);

        let (second, knobs) = sound(&db, &log);
        let status = second.status().await.unwrap().rebuild.unwrap();
        assert!(!status.running_here);
        // The next start takes it up by itself.
        let stop = CancellationToken::new();
        let running = task::spawn("projector", second.clone().run(stop.clone()));
        until("the wrong row is gone", async || {
            balance(&db, "wrong").await == (0, 0)
        })
        .await;
        stop.cancel();
        running.await.unwrap();
        let replayed = knobs.replayed.load(Ordering::SeqCst);
        assert!(
            (500..3_000).contains(&replayed),
            "{replayed} were replayed again"
        );
        assert_eq!(total(&db).await, 3_000);
        assert!(second.verify().await.unwrap().holds());
        assert_eq!(second.status().await.unwrap().rebuild, None);
    }
}

#[tokio::test]
async fn a_rebuild_can_be_given_up_and_a_poisonous_one_leaves_the_rows_alone() {
    for (db, log) in stores().await {
        fill(&log, 300).await;
        let (projector, knobs) = sound(&db, &log);
        projector.catch_up().await.unwrap();
        assert!(!projector.cancel_rebuild().await.unwrap());
        book(&log, "account", "a", -1).await;
        projector.catch_up().await.unwrap();
        knobs.poisoned.store(true, Ordering::SeqCst);
        let stopped = projector.rebuild().await.unwrap_err();
        assert!(stopped.to_string().contains("position 301"), "{stopped}");
        let status = projector.status().await.unwrap().rebuild.unwrap();
        assert!(status.reason.unwrap().contains("negative"));
        assert_eq!(total(&db).await, 301, "the live rows are as they were");
        assert!(projector.cancel_rebuild().await.unwrap());
        assert_eq!(projector.status().await.unwrap().rebuild, None);
        knobs.poisoned.store(false, Ordering::SeqCst);
        projector.rebuild().await.unwrap();
        assert_eq!(total(&db).await, 301);
    }
}

#[tokio::test]
async fn a_verification_names_every_row_that_is_wrong() {
    for (db, log) in stores().await {
        fill(&log, 2_000).await;
        let (projector, _) = sound(&db, &log);
        projector.catch_up().await.unwrap();
        for sql in [
            "update balances set cents = 3 where account = '4'",
            "delete from balances where account = '7'",
            "insert into balances values ('zz', 1, 1)",
        ] {
            db.exec(sql, params![]).await.unwrap();
        }
        let verified = projector.verify().await.unwrap();
        assert_eq!(
            (verified.position, verified.different),
            (Position(2_000), 3)
        );
        let mut named: Vec<_> = verified
            .examples
            .iter()
            .map(|found| {
                (
                    found.key.as_str(),
                    found.live.is_some(),
                    found.replayed.is_some(),
                )
            })
            .collect();
        named.sort_unstable();
        assert_eq!(
            named,
            [("4", true, true), ("7", false, true), ("zz", true, false)]
        );
        projector.rebuild().await.unwrap();
        assert!(projector.verify().await.unwrap().holds());
    }
}

#[tokio::test]
async fn what_was_put_aside_in_a_rebuild_takes_the_place_of_what_was() {
    for (db, log) in stores().await {
        for (account, cents) in [("a", -1), ("b", 1), ("a", 5)] {
            book(&log, "account", account, cents).await;
        }
        let balances = Balances::default();
        balances.knobs.poisoned.store(true, Ordering::SeqCst);
        let knobs = Arc::clone(&balances.knobs);
        let projector = Projector::new(db.clone(), Arc::clone(&log), balances).parking_poison();
        projector.catch_up().await.unwrap();
        assert_eq!(projector.status().await.unwrap().parked, 2);
        projector.rebuild().await.unwrap();
        assert_eq!(projector.status().await.unwrap().parked, 2, "still poison");
        knobs.poisoned.store(false, Ordering::SeqCst);
        projector.rebuild().await.unwrap();
        assert_eq!(projector.status().await.unwrap().parked, 0);
        assert_eq!(balance(&db, "a").await, (4, 2));
    }
}

/// SQLite has no other process.
#[tokio::test]
async fn a_rebuild_whose_tables_another_process_took_away_leaves_the_live_rows_alone() {
    for (db, log) in stores().await {
        if db.engine() == stanchion_sql::Engine::Sqlite {
            continue;
        }
        fill(&log, 3_000).await;
        let (projector, knobs) = sound(&db, &log);
        projector.catch_up().await.unwrap();
        let (elsewhere, _) = sound(&db, &log);
        let given_up = async move {
            assert!(elsewhere.cancel_rebuild().await.unwrap());
        };
        // Between two batches, the first of which is the smallest there is.
        *knobs.meanwhile.lock() = Some((101, Box::pin(given_up)));
        let refused = projector.rebuild().await.unwrap_err().to_string();
        assert!(refused.contains("another process"), "{refused}");
        assert_eq!(total(&db).await, 3_000, "nothing came twice");
        assert_eq!(projector.status().await.unwrap().rebuild, None);
        projector.rebuild().await.unwrap();
        assert_eq!(total(&db).await, 3_000);
        assert!(projector.verify().await.unwrap().holds());
    }
}
