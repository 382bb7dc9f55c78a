//! Rows, log entries and inbox keys commit together.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use stanchion_eventsourcing::{
    AppendError, EventLog, Expected, Metadata, NewEvent, Position, StreamId, Version,
};
use stanchion_messaging::{Claim, Claimed, Inbox, InboxEntry, InboxKey};
use stanchion_runtime::{clock, id};
use stanchion_sql::{
    Db, Migrations, Mode, SqlInbox, SqlLog, UnitOfWork, WorkError, migrate, params,
};
use support::databases;

async fn stores() -> Vec<(Db, SqlLog)> {
    let users = Migrations::new("identity").with(
        1,
        "users",
        "create table users (id uuid primary key, email text not null unique)",
        "drop table users",
    );
    let mut all = Vec::new();
    for db in databases().await {
        migrate(&db, std::slice::from_ref(&users), Mode::Auto)
            .await
            .unwrap();
        let log = SqlLog::open(db.clone()).await.unwrap();
        all.push((db, log));
    }
    all
}

fn event(kind: &str) -> NewEvent {
    NewEvent {
        id: id::new_v7(),
        kind: kind.into(),
        data: json!({"a": 1}).into(),
    }
}

fn metadata() -> Metadata {
    Metadata::new(Some("tester".into()))
}

async fn users(db: &Db) -> i64 {
    db.one("select count(*) from users", params![])
        .await
        .unwrap()
        .get(0)
        .unwrap()
}

fn register(db: &Db, email: &str, event: NewEvent) -> UnitOfWork {
    let mut work = UnitOfWork::begin(db);
    work.queue(
        "insert into users (id, email) values ($1, $2)",
        params![event.id, email],
    );
    work.record(
        StreamId::new("user", email),
        Expected::NoStream,
        vec![event],
        &metadata(),
    );
    work
}

#[tokio::test]
async fn rows_and_events_commit_together_and_readers_are_told() {
    for (db, log) in stores().await {
        let mut changes = log.changes();
        let committed = register(&db, "a@x", event("registered"))
            .commit()
            .await
            .unwrap();
        assert_eq!(committed.position, Some(Position(1)));
        changes.changed().await.unwrap();
        assert_eq!(*changes.borrow(), Position(1));
        assert_eq!(users(&db).await, 1);
        let stored = log
            .read_stream(&StreamId::new("user", "a@x"), Version(0), 10)
            .await
            .unwrap();
        assert_eq!(stored[0].kind, "registered");
        drop(register(&db, "b@x", event("registered")));
        assert_eq!(
            (users(&db).await, log.head().await.unwrap()),
            (1, Position(1))
        );
    }
}

#[tokio::test]
async fn a_refusal_of_either_side_leaves_neither() {
    for (db, log) in stores().await {
        register(&db, "a@x", event("registered"))
            .commit()
            .await
            .unwrap();
        let mut rows_refuse = UnitOfWork::begin(&db);
        rows_refuse.queue(
            "insert into users (id, email) values ($1, 'a@x')",
            params![id::new_v7()],
        );
        rows_refuse.record(
            StreamId::new("user", "c"),
            Expected::Any,
            vec![event("x")],
            &metadata(),
        );
        let refused = rows_refuse.commit().await.unwrap_err();
        assert!(
            matches!(&refused, WorkError::Store(error) if error.conflicts_on("email")),
            "{refused}"
        );

        let mut log_refuses = UnitOfWork::begin(&db);
        log_refuses.queue(
            "insert into users (id, email) values ($1, 'd')",
            params![id::new_v7()],
        );
        log_refuses.record(
            StreamId::new("user", "a@x"),
            Expected::NoStream,
            vec![event("x")],
            &metadata(),
        );
        let refused = log_refuses.commit().await.unwrap_err();
        assert!(matches!(
            refused,
            WorkError::Log(AppendError::Conflict {
                actual: Some(Version(0))
            })
        ));
        assert_eq!(
            (users(&db).await, log.head().await.unwrap()),
            (1, Position(1))
        );
    }
}

#[tokio::test]
async fn the_same_event_ids_again_are_the_same_unit() {
    for (db, log) in stores().await {
        let event = event("registered");
        let first = register(&db, "a@x", event.clone()).commit().await.unwrap();
        let mut again = UnitOfWork::begin(&db);
        again.queue("update users set email = 'twice'", params![]);
        again.record(
            StreamId::new("user", "a@x"),
            Expected::NoStream,
            vec![event],
            &metadata(),
        );
        assert_eq!(again.commit().await.unwrap(), first);
        assert_eq!(log.head().await.unwrap(), Position(1));
        let row = db.one("select email from users", params![]).await.unwrap();
        assert_eq!(row.get::<&str>(0).unwrap(), "a@x");
    }
}

#[tokio::test]
async fn events_of_one_stream_stay_in_order() {
    for (db, log) in stores().await {
        let stream = StreamId::new("user", "a");
        let mut work = UnitOfWork::begin(&db);
        for kind in ["one", "two"] {
            work.record(
                stream.clone(),
                Expected::Any,
                vec![event(kind)],
                &metadata(),
            );
        }
        work.record(
            StreamId::new("user", "b"),
            Expected::Any,
            vec![event("three")],
            &metadata(),
        );
        assert_eq!(work.commit().await.unwrap().position, Some(Position(3)));
        let stored = log.read_stream(&stream, Version(0), 10).await.unwrap();
        assert_eq!(
            stored
                .iter()
                .map(|one| one.kind.as_str())
                .collect::<Vec<_>>(),
            ["one", "two"]
        );
    }
}

#[tokio::test]
async fn effect_and_answer_of_a_claim_commit_while_it_is_owned() {
    for (db, _log) in stores().await {
        let inbox = SqlInbox::new(db.clone());
        let (key, owner) = (InboxKey::request("me", "POST /users", "k"), id::new_v7());
        let claim = Claim {
            key: key.clone(),
            fingerprint: [1; 32],
            owner,
            now: clock::now(),
            expires_at: clock::now() + jiff::SignedDuration::from_secs(30),
        };
        assert_eq!(inbox.claim(&claim).await.unwrap(), Claimed::Fresh);
        let entry = |owner| InboxEntry {
            key: key.clone(),
            owner: Some(owner),
            answer: Some(b"201".to_vec()),
        };
        let mut stolen = register(&db, "a@x", event("registered"));
        stolen.settle(entry(id::new_v7()), &metadata());
        assert!(matches!(
            stolen.commit().await,
            Err(WorkError::Log(AppendError::ClaimLost))
        ));
        assert_eq!(users(&db).await, 0);

        let mut work = register(&db, "a@x", event("registered"));
        work.settle(entry(owner), &metadata());
        let position = work.commit().await.unwrap().position;
        let answered = Claimed::Answered {
            answer: b"201".to_vec(),
            position,
        };
        assert_eq!(inbox.claim(&claim).await.unwrap(), answered);

        let mut rows_only = UnitOfWork::begin(&db);
        rows_only.queue("delete from users", params![]);
        rows_only.settle(entry(owner), &metadata());
        assert!(matches!(
            rows_only.commit().await,
            Err(WorkError::Log(AppendError::AlreadyHandled { .. }))
        ));
        assert_eq!(users(&db).await, 1);
    }
}

/// Event ids that are made of something (a message's id) come again when the code around them has changed.
#[tokio::test]
async fn a_unit_that_is_there_in_part_is_refused_and_writes_nothing() {
    for (db, log) in stores().await {
        let event_of_before = event("registered");
        let before = register(&db, "a@x", event_of_before.clone());
        before.commit().await.unwrap();
        let mut work = UnitOfWork::begin(&db);
        work.queue("delete from users", params![]);
        let streams = [("a@x", event_of_before.clone()), ("b@x", event("told"))];
        for (name, event) in streams {
            let stream = StreamId::new("user", name);
            work.record(stream, Expected::Any, vec![event], &metadata());
        }
        let refused = work.commit().await.unwrap_err();
        assert!(
            matches!(refused, WorkError::Log(AppendError::Invalid(_))),
            "{refused}"
        );
        let mut longer = UnitOfWork::begin(&db);
        let stream = StreamId::new("user", "a@x");
        let events = vec![event_of_before, event("told")];
        longer.record(stream, Expected::Any, events, &metadata());
        let refused = longer.commit().await.unwrap_err();
        assert!(
            matches!(refused, WorkError::Log(AppendError::Invalid(_))),
            "{refused}"
        );
        assert_eq!(
            (users(&db).await, log.head().await.unwrap()),
            (1, Position(1))
        );
    }
}

#[tokio::test]
async fn a_unit_settles_one_inbox_entry_and_says_so_of_a_second_one() {
    for (db, log) in stores().await {
        let settles = |work: &mut UnitOfWork| {
            let key = InboxKey::message("consumer", id::new_v7(), None);
            work.settle(InboxEntry::new(key), &metadata());
        };
        let mut work = register(&db, "a@x", event("registered"));
        settles(&mut work);
        settles(&mut work);
        let refused = work.commit().await.unwrap_err();
        assert!(
            matches!(
                &refused,
                WorkError::Store(stanchion_sql::SqlError::Usage(_))
            ),
            "{refused}"
        );
        assert_eq!(
            (users(&db).await, log.head().await.unwrap()),
            (0, Position::START)
        );
    }
}
