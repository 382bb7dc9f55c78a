//! Statements that are their own transaction, whose connection is cut at every place.
#![allow(clippy::unwrap_used)]

mod support;

use stanchion_sql::{DatabaseSettings, Db, SqlError, params};
use stanchion_testing::proxy::{Cut, FaultProxy};
use support::proxied;

/// A database with a table, reached through a proxy on one connection; and past it.
async fn behind_a_proxy() -> Option<(Db, Db, FaultProxy)> {
    let (url, through, proxy) = proxied()?;
    let settings = DatabaseSettings {
        connections_max: 1,
        ..DatabaseSettings::default()
    };
    let past = Db::open(&url, "facade", &settings);
    let past = past.await.unwrap();
    past.script("create table t (a text)").await.unwrap();
    let db = Db::open(&through, "facade", &settings);
    Some((db.await.unwrap(), past, proxy))
}

const INSERT: &str = "insert into t values ($1)";

async fn is_there(past: &Db, text: &str) -> bool {
    let sql = "select 1 from t where a = $1";
    past.opt(sql, params![text]).await.unwrap().is_some()
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_in_doubt_whether_it_happened_or_not() {
    let Some((db, past, proxy)) = behind_a_proxy().await else {
        return;
    };
    let mut happened = Vec::new();
    for (text, cut) in [
        ("half-sent", Cut::Tail(3)),
        ("sent-whole", Cut::Tail(0)),
        ("not-answered", Cut::Reply(0)),
        ("half-answered", Cut::Reply(5)),
    ] {
        // The connection and its plan are there: only the statement itself goes over the line.
        db.exec(INSERT, params!["before"]).await.unwrap();
        proxy.cut(cut, text.as_bytes());
        let lost = db.exec(INSERT, params![text]).await;
        assert!(!proxy.armed(), "{text} was never seen");
        assert!(
            matches!(lost, Err(SqlError::InDoubt(_))),
            "{text}: {lost:?}"
        );
        happened.push(is_there(&past, text).await);
    }
    assert!(!happened[0], "half a packet does nothing");
    assert!(happened[2] && happened[3], "an answer came: {happened:?}");
}

#[tokio::test]
async fn a_script_whose_answer_is_lost_is_in_doubt() {
    let Some((db, past, proxy)) = behind_a_proxy().await else {
        return;
    };
    for cut in [Cut::Tail(1), Cut::Reply(0)] {
        db.exec(INSERT, params!["before"]).await.unwrap();
        proxy.cut(cut, b"scripted");
        let lost = db.script("insert into t values ('scripted')").await;
        assert!(matches!(lost, Err(SqlError::InDoubt(_))), "{lost:?}");
    }
    assert!(is_there(&past, "scripted").await);
}

#[tokio::test]
async fn what_only_reads_or_was_not_sent_changed_nothing() {
    let Some((db, past, proxy)) = behind_a_proxy().await else {
        return;
    };
    let read = "select a from t where a = $1";
    db.query(read, params!["before"]).await.unwrap();
    proxy.cut(Cut::Reply(0), b"wanted");
    let lost = db.query(read, params!["wanted"]).await;
    assert!(matches!(lost, Err(SqlError::Unavailable(_))), "{lost:?}");

    // Lost while it is prepared: the server never heard what to do with it.
    db.query(read, params!["before"]).await.unwrap();
    proxy.cut(Cut::Reply(0), INSERT.as_bytes());
    let lost = db.exec(INSERT, params!["prepared"]).await;
    assert!(matches!(lost, Err(SqlError::Unavailable(_))), "{lost:?}");
    assert!(!is_there(&past, "prepared").await);

    // A refusal is an answer.
    let refused = db.exec("insert into t values ($1, 1)", params!["x"]).await;
    assert!(matches!(refused, Err(SqlError::Usage(_))), "{refused:?}");
}
