//! Whoever goes away at whatever moment leaves nothing behind.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use stanchion_runtime::{id, task};
use stanchion_sql::{DatabaseSettings, Db, Engine, params};
use support::{TABLE, databases, databases_with, insert, names};

/// Trap: a cancelled BEGIN, statement or COMMIT must not leave its connection inside a transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_anywhere_leaves_no_transaction_behind() {
    let settings = DatabaseSettings {
        connections_max: 4,
        ..Default::default()
    };
    for db in databases_with(&settings).await {
        db.script(TABLE).await.unwrap();
        let acknowledged = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                task::spawn(
                    "canceller",
                    cancel_many(db.clone(), Arc::clone(&acknowledged)),
                )
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let acknowledged = acknowledged.lock().clone();
        check_after_cancelling(&db, &acknowledged).await;
    }
}

async fn cancel_many(db: Db, acknowledged: Arc<parking_lot::Mutex<Vec<String>>>) {
    for round in 0..80_u32 {
        let name = id::new_v7().to_string();
        let work = async {
            let tx = db.begin();
            let (sql, all) = insert(&name);
            if round % 3 == 0 {
                tx.queue(sql, all);
            } else {
                tx.exec(sql, all).await?;
                tx.query(
                    "select count(*) from thing where name = $1",
                    params![name.as_str()],
                )
                .await?;
            }
            let (sql, all) = insert(&format!("{name}+"));
            tx.queue(sql, all);
            tx.commit().await
        };
        let pause = stanchion_runtime::random::jitter(Duration::from_millis(25));
        if let Ok(done) = tokio::time::timeout(pause, work).await {
            done.unwrap();
            acknowledged.lock().push(name);
        }
    }
}

async fn check_after_cancelling(db: &Db, acknowledged: &[String]) {
    let stored = names(db).await;
    for name in acknowledged {
        assert!(stored.contains(name), "an acknowledged commit is gone");
    }
    for name in stored.iter().filter(|name| !name.ends_with('+')) {
        assert!(
            stored.contains(&format!("{name}+")),
            "half a transaction was committed"
        );
    }
    eprintln!(
        "{:?}: {} acknowledged, {} stored",
        db.engine(),
        acknowledged.len(),
        stored.len() / 2
    );
    if db.engine() == Engine::Postgres {
        let sql = "select count(*) from pg_stat_activity
                   where datname = current_database() and state like 'idle in transaction%'";
        let mut open = 1_i64;
        for _ in 0..100 {
            open = db.one(sql, params![]).await.unwrap().get(0).unwrap();
            if open == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(open, 0, "sessions idle in transaction");
        for _ in 0..16 {
            db.exec("update thing set number = 1 where false", params![])
                .await
                .unwrap();
        }
        assert!(db.status().connections <= 4);
    }
}

#[tokio::test]
async fn a_cancelled_read_is_stopped_at_the_database() {
    for db in databases().await {
        let endless = match db.engine() {
            Engine::Sqlite => {
                "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"
            }
            Engine::Postgres => "select pg_sleep(4)",
        };
        let reads: Vec<_> = (0..4).map(|_| db.query(endless, params![])).collect();
        let all = futures_util::future::join_all(reads);
        assert!(
            tokio::time::timeout(Duration::from_millis(100), all)
                .await
                .is_err()
        );
        let after = tokio::time::timeout(Duration::from_secs(2), db.query("select 1", params![]));
        after.await.expect("free again").unwrap();
    }
}
