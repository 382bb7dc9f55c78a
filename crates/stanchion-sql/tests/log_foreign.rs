//! The SQL function that appends within the transaction of somebody else's library.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use stanchion_eventsourcing::{
    Append, AppendError, EventLog, Expected, Filter, Metadata, NewEvent, Position, StreamId,
    Version,
};
use stanchion_runtime::{id, task};
use stanchion_sql::tokio_postgres::{Client, Error, NoTls};
use stanchion_sql::{DatabaseSettings, DatabaseUrl, Db, Mode, SqlLog, migrate, tokio_postgres};
use support::postgres_url;
use uuid::Uuid;

const APPEND: &str = "select * from orders.stanchion_append('order', $1, $2, $3, $4, $5)";

async fn open(url: &DatabaseUrl) -> (Db, SqlLog) {
    let db = Db::open(url, "orders", &DatabaseSettings::default())
        .await
        .unwrap();
    migrate(&db, &[], Mode::Auto).await.unwrap();
    let log = SqlLog::open(db.clone()).await.unwrap();
    (db, log)
}

/// Another library's connection: it knows nothing of us.
async fn foreign(url: &DatabaseUrl) -> Client {
    // The password is not shown; the test server trusts.
    let (client, connection) = tokio_postgres::connect(&url.to_string(), NoTls)
        .await
        .unwrap();
    task::spawn("foreign", async move { drop(connection.await) });
    client
        .batch_execute("create table if not exists sale (id uuid primary key)")
        .await
        .unwrap();
    client
}

async fn call(
    client: &Client,
    name: &str,
    expected: Option<i64>,
    ids: &[Uuid],
) -> Result<(i64, i64), Error> {
    let types = vec!["placed"; ids.len()];
    let data: Vec<String> = (0..ids.len())
        .map(|n| json!({ "n": n, "text": "grüße \u{1F600}" }).to_string())
        .collect();
    let row = client
        .query_one(APPEND, &[&name, &expected, &ids, &types, &data])
        .await?;
    Ok((row.get(0), row.get(1)))
}

#[tokio::test]
async fn a_foreign_transaction_appends_with_its_rows_or_not_at_all() {
    let Some(url) = postgres_url() else { return };
    let (_db, log) = open(&url).await;
    let mut client = foreign(&url).await;
    let ids = [id::new_v7(), id::new_v7()];
    for commits in [false, true] {
        let sale = client.transaction().await.unwrap();
        sale.execute("insert into sale (id) values ($1)", &[&ids[0]])
            .await
            .unwrap();
        let appended = call(sale.client(), "a", Some(-1), &ids).await.unwrap();
        assert_eq!(appended, (2, 1));
        if commits {
            sale.commit().await.unwrap();
        } else {
            sale.rollback().await.unwrap();
            assert_eq!(log.head().await.unwrap(), Position::START);
        }
    }
    // What is read passed its checksum.
    let entries = log.read(Position::START, &Filter::all(), 10).await.unwrap();
    let places: Vec<_> = entries
        .iter()
        .map(|entry| (entry.position.0, entry.version.0, entry.id))
        .collect();
    assert_eq!(places, [(1, 0, ids[0]), (2, 1, ids[1])]);
    assert_eq!(
        entries[1].data,
        json!({ "n": 1, "text": "grüße \u{1F600}" })
    );
    assert_eq!(entries[1].stream, StreamId::new("order", "a"));
}

#[tokio::test]
async fn the_log_and_the_function_follow_each_other_and_tell_readers() {
    let Some(url) = postgres_url() else { return };
    let (_db, log) = open(&url).await;
    let client = foreign(&url).await;
    let append = |expected| Append {
        stream: StreamId::new("order", "a"),
        expected,
        events: vec![NewEvent {
            id: id::new_v7(),
            kind: "placed".into(),
            data: json!({}).into(),
        }],
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    };
    log.append(append(Expected::NoStream)).await.unwrap();
    let mut changes = log.changes();
    assert_eq!(
        call(&client, "a", Some(0), &[id::new_v7()]).await.unwrap(),
        (2, 1)
    );
    let told = tokio::time::timeout(Duration::from_secs(5), changes.wait_for(|at| at.0 >= 2));
    assert!(told.await.is_ok(), "nobody said that the log grew");
    // What the log remembers of the stream is too old.
    let refused = log.append(append(Expected::Exact(Version(0)))).await;
    let actual = Some(Version(1));
    assert!(
        matches!(refused, Err(AppendError::Conflict { actual: a }) if a == actual),
        "{refused:?}"
    );
    let appended = log.append(append(Expected::Any)).await.unwrap();
    assert_eq!(
        (appended.position, appended.version),
        (Position(3), Some(Version(2)))
    );
}

#[tokio::test]
async fn the_same_ids_again_are_success_and_a_wrong_version_has_a_code() {
    let Some(url) = postgres_url() else { return };
    let (_db, log) = open(&url).await;
    let client = foreign(&url).await;
    let ids = [id::new_v7(), id::new_v7()];
    let first = call(&client, "a", Some(-1), &ids).await.unwrap();
    assert_eq!(call(&client, "a", Some(-1), &ids).await.unwrap(), first);
    let code = async |name: &str, expected, ids: &[Uuid]| {
        let refused = call(&client, name, expected, ids).await.unwrap_err();
        refused.code().unwrap().code().to_owned()
    };
    assert_eq!(code("a", Some(0), &[id::new_v7()]).await, "ES409");
    assert_eq!(code("b", Some(0), &[id::new_v7()]).await, "ES409");
    assert_eq!(code("b", None, &ids).await, "ES400");
    // Neither a part of an append nor more than it is a repeat of it, and what is new is wholly new.
    assert_eq!(code("a", None, &[ids[0], id::new_v7()]).await, "ES400");
    assert_eq!(
        code("a", None, &[ids[0], ids[1], id::new_v7()]).await,
        "ES400"
    );
    assert_eq!(code("a", None, &[ids[1], ids[0]]).await, "ES400");
    assert_eq!(code("a", None, &[id::new_v7(), ids[1]]).await, "ES400");
    assert_eq!(code("b", None, &[]).await, "ES400");
    assert_eq!(code("", None, &[id::new_v7()]).await, "ES400");
    let isolated = "begin isolation level repeatable read";
    client.batch_execute(isolated).await.unwrap();
    assert_eq!(code("a", None, &[id::new_v7()]).await, "ES400");
    client.batch_execute("rollback").await.unwrap();
    assert_eq!(log.head().await.unwrap(), Position(2));
}
