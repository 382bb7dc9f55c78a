//! The facade says the same on both databases.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use stanchion_runtime::{clock, id, task};
use stanchion_sql::{DatabaseSettings, DatabaseUrl, Db, Engine, SqlError, Value, params};
use support::{TABLE, databases, databases_with, insert, names, sqlite};

async fn things() -> Vec<Db> {
    let all = databases().await;
    for db in &all {
        db.script(TABLE).await.unwrap();
    }
    all
}

#[tokio::test]
async fn every_kind_of_value_comes_back_as_it_went() {
    for db in things().await {
        let (id, at) = (id::new_v7(), clock::now());
        let doc = serde_json::json!({"a": [1, null, "ü"]});
        let sql = "insert into thing (name, id, number, real, flag, doc, bytes, at) values ($2, $1, $3, $4, $5, $6, $7, $8)";
        let changed = db
            .exec(
                sql,
                params![
                    id,
                    "007",
                    i64::MAX,
                    0.5,
                    true,
                    doc.clone(),
                    vec![0u8, 255],
                    at
                ],
            )
            .await
            .unwrap();
        assert_eq!(changed, 1);
        let sql = "select id, name, number, real, flag, doc, bytes, at from thing where id = $1 and at = $2";
        let row = db.one(sql, params![id, at]).await.unwrap();
        assert_eq!(row.get::<uuid::Uuid>(0).unwrap(), id);
        assert_eq!(row.get::<&str>(1).unwrap(), "007");
        assert_eq!(row.get::<i64>(2).unwrap(), i64::MAX);
        assert_eq!(row.get::<f64>(3).unwrap(), 0.5);
        assert!(row.get::<bool>(4).unwrap());
        assert_eq!(row.json::<serde_json::Value>(5).unwrap(), doc);
        assert_eq!(row.get::<Vec<u8>>(6).unwrap(), [0, 255]);
        assert_eq!(row.named::<jiff::Timestamp>("at").unwrap(), at);
    }
}

#[tokio::test]
async fn null_fits_every_column_and_bare_json_stays_json() {
    for db in things().await {
        let none = || None::<i64>;
        let sql = "insert into thing values ($1, 'n', $2, $3, $4, $5, $6, $7)";
        let all = params![id::new_v7(), none(), none(), none(), none(), none(), none()];
        db.exec(sql, all).await.unwrap();
        let row = db
            .one("select number, flag, doc, bytes, at from thing", params![])
            .await
            .unwrap();
        assert!(row.values().iter().all(|value| *value == Value::Null));
        for bare in [
            serde_json::json!(5),
            serde_json::json!("5"),
            serde_json::json!(1.5),
        ] {
            db.exec("update thing set doc = $1", params![bare.clone()])
                .await
                .unwrap();
            let row = db.one("select doc from thing", params![]).await.unwrap();
            assert_eq!(row.json::<serde_json::Value>(0).unwrap(), bare);
        }
    }
}

#[tokio::test]
async fn sums_and_counts_are_whole_numbers() {
    for db in things().await {
        for number in [1_i64 << 40, 20_000, -7] {
            let sql = "insert into thing (id, name, number) values ($1, 'x', $2)";
            db.exec(sql, params![id::new_v7(), number]).await.unwrap();
        }
        let row = db
            .one("select sum(number), count(*) from thing", params![])
            .await
            .unwrap();
        assert_eq!(row.get::<i64>(0).unwrap(), (1 << 40) + 19_993);
        assert_eq!(row.get::<i64>(1).unwrap(), 3);
    }
}

#[tokio::test]
async fn a_wrong_type_or_missing_row_is_said_by_name() {
    for db in things().await {
        let (sql, all) = insert("x");
        db.exec(sql, all).await.unwrap();
        let row = db
            .one("select name, number from thing", params![])
            .await
            .unwrap();
        let error = row.get::<i64>(0).unwrap_err();
        assert!(error.to_string().contains("`name`"), "{error}");
        assert!(matches!(row.get::<i64>(1), Err(SqlError::Decode(_))));
        assert!(matches!(row.get::<i64>(2), Err(SqlError::Decode(_))));
        let none = db
            .one("select 1 from thing where name = $1", params!["y"])
            .await;
        assert!(matches!(none, Err(SqlError::Decode(_))));
        let many = db.exec("select 1 where 1 = $1", params![]).await;
        assert!(matches!(many, Err(SqlError::Usage(_))), "{many:?}");
        assert!(matches!(
            db.query("selec 1", params![]).await,
            Err(SqlError::Usage(_))
        ));
    }
}

#[tokio::test]
async fn violations_tell_what_they_violate() {
    for db in databases().await {
        db.script(
            "create table a (id bigint primary key, email text not null, check (id > 0));
                   create unique index a_email on a (email);
                   create table b (a bigint not null references a (id));",
        )
        .await
        .unwrap();
        let put = async |id: i64, email: &str| {
            db.exec("insert into a values ($1, $2)", params![id, email])
                .await
        };
        put(1, "one").await.unwrap();
        assert!(put(1, "two").await.unwrap_err().conflicts_on("id"));
        assert!(put(2, "one").await.unwrap_err().conflicts_on("email"));
        assert!(matches!(put(-1, "x").await, Err(SqlError::Constraint(_))));
        let null = db
            .exec("insert into a values (3, $1)", params![None::<&str>])
            .await;
        assert!(matches!(null, Err(SqlError::Constraint(_))), "{null:?}");
        let orphan = db.exec("insert into b values (9)", params![]).await;
        assert!(matches!(orphan, Err(SqlError::Constraint(_))), "{orphan:?}");
    }
}

#[tokio::test]
async fn a_transaction_reads_its_own_writes_and_nobody_else_does() {
    for db in things().await {
        let tx = db.begin();
        let (sql, all) = insert("mine");
        tx.exec(sql, all).await.unwrap();
        let (sql, all) = insert("queued");
        tx.queue(sql, all);
        assert_eq!(names(&tx).await, ["mine", "queued"]);
        assert!(names(&db).await.is_empty());
        tx.commit().await.unwrap();
        assert_eq!(names(&db).await, ["mine", "queued"]);
    }
}

#[tokio::test]
async fn dropped_and_rolled_back_transactions_leave_nothing() {
    for db in things().await {
        for queue_only in [true, false] {
            let tx = db.begin();
            let (sql, all) = insert("lost");
            tx.queue(sql, all);
            if !queue_only {
                tx.exec("update thing set number = 1", params![])
                    .await
                    .unwrap();
            }
            drop(tx);
            let tx = db.begin();
            let (sql, all) = insert("lost");
            tx.exec(sql, all).await.unwrap();
            tx.rollback().await.unwrap();
        }
        let (sql, all) = insert("kept");
        db.exec(sql, all).await.unwrap();
        assert_eq!(names(&db).await, ["kept"]);
    }
}

#[tokio::test]
async fn a_failed_statement_makes_the_commit_an_error() {
    for db in things().await {
        let (sql, all) = insert("first");
        let tx = db.begin();
        tx.queue(sql, all.clone());
        tx.queue(sql, all.clone());
        tx.queue("update thing set name = 'changed'", params![]);
        assert!(tx.commit().await.unwrap_err().conflicts_on("id"));

        let tx = db.begin();
        tx.exec(sql, all.clone()).await.unwrap();
        assert!(tx.exec(sql, all.clone()).await.is_err());
        assert!(
            tx.exec("update thing set number = 1", params![])
                .await
                .is_err()
        );
        assert!(tx.commit().await.unwrap_err().conflicts_on("id"));
        assert!(names(&db).await.is_empty());
        assert!(db.status().rolled_back >= 2);
    }
}

#[tokio::test]
async fn an_error_ignored_on_the_raw_client_cannot_be_committed() {
    for db in things()
        .await
        .into_iter()
        .filter(|db| db.engine() == Engine::Postgres)
    {
        let tx = db.begin();
        let (sql, all) = insert("lost");
        tx.exec(sql, all).await.unwrap();
        let client = tx.postgres().await.unwrap();
        assert!(client.batch_execute("selec 1").await.is_err());
        drop(client);
        assert!(tx.commit().await.is_err());
        assert!(names(&db).await.is_empty());
    }
}

#[tokio::test]
async fn the_raw_drivers_are_reachable_inside_a_transaction() {
    for db in things().await {
        let tx = db.begin();
        let (sql, all) = insert("facade");
        tx.queue(sql, all);
        let raw = "insert into thing (id, name) select id, 'raw' from thing where false";
        match db.engine() {
            Engine::Postgres => tx
                .postgres()
                .await
                .unwrap()
                .batch_execute(raw)
                .await
                .unwrap(),
            Engine::Sqlite => tx
                .sqlite(move |conn| {
                    conn.execute_batch(raw)
                        .map_err(|e| SqlError::Usage(e.to_string()))
                })
                .await
                .unwrap(),
        }
        tx.commit().await.unwrap();
        assert_eq!(names(&db).await, ["facade"]);
    }
}

#[tokio::test]
async fn rows_are_returned_by_writes_and_locked_by_reads() {
    for db in things().await {
        let row = db
            .one(
                "insert into thing (id, name) values ($1, 'a') returning name",
                params![id::new_v7()],
            )
            .await
            .unwrap();
        assert_eq!(row.get::<&str>(0).unwrap(), "a");
        let cte = db
            .query("with w as (select 'x' as n) select n from w", params![])
            .await;
        assert_eq!(cte.unwrap().len(), 1);
        let tx = db.begin();
        let locked = tx
            .query(
                "select id from thing where name = $1 for update",
                params!["a"],
            )
            .await;
        assert_eq!(locked.unwrap().len(), 1);
        tx.exec("update thing set number = 2", params![])
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn more_queued_statements_than_fit_a_packet_stay_one_transaction() {
    for db in things().await {
        let tx = db.begin();
        for index in 0..1_000 {
            let (sql, all) = insert(&format!("{index:04}"));
            tx.queue(sql, all);
        }
        tx.commit().await.unwrap();
        assert_eq!(names(&db).await.len(), 1_000);

        let tx = db.begin();
        tx.queue("delete from thing", params![]);
        for _ in 0..600 {
            let (sql, all) = insert("again");
            tx.queue(sql, all);
        }
        tx.queue("insert into thing (id) values ($1)", params![id::new_v7()]);
        assert!(matches!(tx.commit().await, Err(SqlError::Constraint(_))));
        assert_eq!(names(&db).await.len(), 1_000);
    }
}

#[tokio::test]
async fn without_pipelining_everything_works_the_same() {
    let settings = DatabaseSettings {
        pipelining: false,
        ..DatabaseSettings::default()
    };
    for db in databases_with(&settings).await {
        db.script(TABLE).await.unwrap();
        let tx = db.begin();
        for name in ["a", "b"] {
            let (sql, all) = insert(name);
            tx.queue(sql, all);
        }
        tx.commit().await.unwrap();
        assert_eq!(names(&db).await, ["a", "b"]);
    }
}

#[tokio::test]
async fn a_statement_ends_at_its_bound() {
    // What is no work at all is within it on a busy machine, too.
    let settings = DatabaseSettings {
        statement_timeout: Duration::from_secs(1),
        ..Default::default()
    };
    for db in databases_with(&settings).await {
        let endless = match db.engine() {
            Engine::Sqlite => {
                "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"
            }
            Engine::Postgres => "select pg_sleep(5)",
        };
        let late = db.query(endless, params![]).await;
        assert!(matches!(late, Err(SqlError::Timeout(_))), "{late:?}");
        db.query("select 1", params![]).await.unwrap();
    }
}

#[tokio::test]
async fn a_transaction_that_dawdles_loses_the_writer() {
    let settings = DatabaseSettings {
        writer_hold: Duration::from_millis(50),
        ..Default::default()
    };
    let db = sqlite(&settings).await;
    db.script(TABLE).await.unwrap();
    let tx = db.begin();
    let (sql, all) = insert("slow");
    tx.exec(sql, all).await.unwrap();
    let (sql, all) = insert("next");
    db.exec(sql, all).await.unwrap();
    assert!(matches!(tx.commit().await, Err(SqlError::Timeout(_))));
    assert_eq!(names(&db).await, ["next"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_never_see_a_busy_database() {
    for db in things().await {
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let db = db.clone();
                task::spawn("writer", async move {
                    for _ in 0..10 {
                        names(&db).await;
                        let tx = db.begin();
                        let (sql, all) = insert("w");
                        tx.exec(sql, all).await.unwrap();
                        tx.commit().await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(names(&db).await.len(), 320);
    }
}

#[tokio::test]
async fn a_folder_belongs_to_one_process_and_a_module_has_one_database_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(folder.path());
    let settings = DatabaseSettings::default();
    let one = Db::open(&url, "orders", &settings).await.unwrap();
    let same = Db::open(&url, "orders", &settings).await.unwrap();
    let other = Db::open(&url, "payments", &settings).await.unwrap();
    one.script("create table t (a text)").await.unwrap();
    assert_eq!(
        same.query("select * from t", params![])
            .await
            .unwrap()
            .len(),
        0
    );
    assert!(other.query("select * from t", params![]).await.is_err());
    let lock = std::fs::OpenOptions::new()
        .read(true)
        .open(folder.path().join(".lock"))
        .unwrap();
    assert!(lock.try_lock().is_err(), "another process would be refused");
    let reader = Db::open_read_only(&url, "orders", &settings).await.unwrap();
    reader.query("select * from t", params![]).await.unwrap();
    assert!(
        reader
            .exec("insert into t values ('x')", params![])
            .await
            .is_err()
    );
    assert!(Db::open(&url, "Ünsafe\"", &settings).await.is_err());
}

#[tokio::test]
async fn what_was_committed_is_there_after_closing() {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(folder.path());
    let db = Db::open(&url, "orders", &DatabaseSettings::default())
        .await
        .unwrap();
    db.script("create table t (a text); insert into t values ('x')")
        .await
        .unwrap();
    db.close().await;
    assert!(matches!(
        db.exec("delete from t", params![]).await,
        Err(SqlError::Unavailable(_))
    ));
    drop(db);
    let db = Db::open(&url, "orders", &DatabaseSettings::default())
        .await
        .unwrap();
    assert_eq!(
        db.query("select a from t", params![]).await.unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_no_half_transaction() {
    let db = sqlite(&DatabaseSettings::default()).await;
    db.script("create table t (a text)").await.unwrap();
    let limit = "pragma max_page_count = 20";
    db.sqlite_write(move |conn| {
        conn.query_row(limit, [], |_| Ok(()))
            .map_err(|e| SqlError::Usage(e.to_string()))
    })
    .await
    .unwrap();
    let tx = db.begin();
    for _ in 0..50 {
        tx.queue("insert into t values ($1)", params!["x".repeat(4_000)]);
    }
    assert!(matches!(tx.commit().await, Err(SqlError::Unavailable(_))));
    assert!(
        db.query("select a from t", params![])
            .await
            .unwrap()
            .is_empty()
    );
    db.exec("insert into t values ('small')", params![])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_panic_in_a_job_is_its_callers_alone() {
    let db = sqlite(&DatabaseSettings::default()).await;
    db.script("create table t (a text)").await.unwrap();
    let panicked = db
        .sqlite_write(|conn| -> Result<(), SqlError> {
            conn.execute_batch("insert into t values ('half')")
                .map_err(|e| SqlError::Usage(e.to_string()))?;
            panic!("a bug")
        })
        .await;
    assert!(panicked.is_err());
    db.exec("insert into t values ('whole')", params![])
        .await
        .unwrap();
    assert_eq!(
        db.query("select a from t", params![]).await.unwrap().len(),
        1
    );
}
