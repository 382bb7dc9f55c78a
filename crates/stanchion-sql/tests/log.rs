//! What only a stored log has: restarts, other processes, rows that somebody touched.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stanchion_eventsourcing::{
    Append, AppendError, EventLog, Expected, Filter, LogError, Metadata, NewEvent, Position,
    StreamId, Version,
};
use stanchion_runtime::{id, task};
use stanchion_sql::{DatabaseSettings, DatabaseUrl, Db, Mode, SqlLog, migrate, params};
use support::{databases, postgres_url};

fn append(stream: &str, expected: Expected) -> Append {
    Append {
        stream: StreamId::new("order", stream),
        expected,
        events: vec![NewEvent {
            id: id::new_v7(),
            kind: "placed".into(),
            data: json!({"n": 1}).into(),
        }],
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    }
}

async fn open(url: &DatabaseUrl) -> (Db, SqlLog) {
    let db = Db::open(url, "orders", &DatabaseSettings::default())
        .await
        .unwrap();
    migrate(&db, &[], Mode::Auto).await.unwrap();
    let log = SqlLog::open(db.clone()).await.unwrap();
    (db, log)
}

#[tokio::test]
async fn a_log_keeps_its_identity_and_goes_on_counting_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let urls = [Some(DatabaseUrl::sqlite(folder.path())), postgres_url()];
    for url in urls.into_iter().flatten() {
        let (db, log) = open(&url).await;
        log.append(append("a", Expected::NoStream)).await.unwrap();
        let identity = log.id();
        db.close().await;
        drop((db, log));
        let (_db, log) = open(&url).await;
        assert_eq!(
            (log.id(), log.head().await.unwrap()),
            (identity, Position(1))
        );
        assert_eq!(*log.changes().borrow(), Position(1));
        let next = log
            .append(append("a", Expected::Exact(Version(0))))
            .await
            .unwrap();
        assert_eq!(next.position, Position(2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_append_together_leave_no_hole_and_hear_of_each_other() {
    let Some(url) = postgres_url() else { return };
    let (_one_db, one) = open(&url).await;
    let (_two_db, two) = open(&url).await;
    let logs = [Arc::new(one), Arc::new(two)];
    let mut heard = logs[1].changes();
    logs[0]
        .append(append("first", Expected::Any))
        .await
        .unwrap();
    let told = tokio::time::timeout(Duration::from_secs(5), heard.wait_for(|at| at.0 >= 1)).await;
    assert!(told.is_ok(), "another process's append was not noticed");
    drop(told);
    let writers: Vec<_> = (0..16)
        .map(|n| {
            let log = Arc::clone(&logs[n % 2]);
            task::spawn("writer", async move {
                for _ in 0..10 {
                    // Half of the streams are fought for by both.
                    let stream = format!("s{}", n / 2);
                    log.append(append(&stream, Expected::Any)).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let all = logs[0]
        .read(Position::START, &Filter::all(), 1_000)
        .await
        .unwrap();
    assert_eq!(all.len(), 161);
    for (event, position) in all.iter().zip(1..) {
        assert_eq!(event.position, Position(position));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_the_database_does_not_take_fails_alone() {
    let Some(url) = postgres_url() else { return };
    let (_db, log) = open(&url).await;
    let log = Arc::new(log);
    let writers: Vec<_> = (0..20)
        .map(|n| {
            let log = Arc::clone(&log);
            // PostgreSQL's text holds no NUL.
            let name = if n == 7 {
                "bad\0name".to_owned()
            } else {
                format!("s{n}")
            };
            task::spawn("writer", async move {
                log.append(append(&name, Expected::Any)).await
            })
        })
        .collect();
    let mut fine = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Ok(_) => fine += 1,
            Err(error) => assert!(matches!(error, AppendError::Invalid(_)), "{error}"),
        }
    }
    assert_eq!((fine, log.head().await.unwrap()), (19, Position(19)));
}

#[tokio::test]
async fn a_touched_row_is_damage_and_is_not_read_in_silence() {
    for db in databases().await {
        migrate(&db, &[], Mode::Auto).await.unwrap();
        let log = SqlLog::open(db.clone()).await.unwrap();
        for _ in 0..2 {
            log.append(append("a", Expected::Any)).await.unwrap();
        }
        db.exec(
            "update event set data = $1 where position = 2",
            params![json!({"n": 2})],
        )
        .await
        .unwrap();
        let read = log
            .read_stream(&StreamId::new("order", "a"), Version(0), 10)
            .await;
        assert!(
            matches!(
                read,
                Err(LogError::Damaged {
                    position: Position(2),
                    ..
                })
            ),
            "{read:?}"
        );
    }
}

#[tokio::test]
async fn an_entry_whose_stream_has_no_name_is_damaged_and_never_passed_over() {
    let Some(url) = postgres_url() else {
        return;
    };
    let (db, log) = open(&url).await;
    for stream in ["a", "b", "a"] {
        log.append(append(stream, Expected::Any)).await.unwrap();
    }
    // A process that has read nothing yet has to look names up.
    let (_other, reader) = open(&url).await;
    let read = reader.read(Position::START, &Filter::all(), 10).await;
    let names: Vec<String> = read.unwrap().iter().map(|e| e.stream.to_string()).collect();
    assert_eq!(names, ["order-a", "order-b", "order-a"]);
    let sql = "delete from stream where name = 'b'";
    assert_eq!(db.exec(sql, params![]).await.unwrap(), 1);
    let (_third, reader) = open(&url).await;
    // A connection made in between would make it look again; the second look is over the same one.
    let mut found = reader.read(Position::START, &Filter::all(), 10).await;
    if matches!(found, Err(LogError::Unavailable(_))) {
        found = reader.read(Position::START, &Filter::all(), 10).await;
    }
    let position = match found {
        Err(LogError::Damaged { position, .. }) => position,
        other => panic!("{other:?}"),
    };
    assert_eq!(position, Position(2));
}
