//! A log leaves a store as a file and comes back the same; whatever does not hold is found.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Cursor;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value as Json, json};
use stanchion_eventsourcing::{
    Append, AppendError, EventLog, Expected, KeptState, Metadata, NewEvent, Position, Snapshots,
    StreamId, TimerChange, Version,
};
use stanchion_messaging::{InboxEntry, InboxKey};
use stanchion_runtime::id;
use stanchion_sql::{
    DatabaseSettings, Db, Mode, SqlLog, SqlSnapshots, TransferError, Transferred, export, import,
    migrate, params, verify_log,
};
use support::{postgres_url, sqlite};
use uuid::Uuid;

/// One append of a made-up past.
#[derive(Clone, Debug)]
struct Past {
    stream: u8,
    contents: Vec<Json>,
    timer: Option<(u8, i64)>,
    dealt_with: bool,
}

fn content() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Null),
        Just(json!({})),
        any::<f64>()
            .prop_filter("JSON has no other numbers", |number| number.is_finite())
            .prop_map(|number| json!({ "number": number })),
        ".*".prop_map(|text| json!({"text": text.replace('\0', ""), "more": ["\n", {"a": null}]})),
        any::<u64>().prop_map(|number| json!([number])),
    ]
}

fn past() -> impl Strategy<Value = Past> {
    let contents = prop::collection::vec(content(), 1..4);
    let timer = prop::option::of((0..2u8, 0..1_000i64));
    (0..4u8, contents, timer, any::<bool>()).prop_map(|(stream, contents, timer, dealt_with)| {
        Past {
            stream,
            contents,
            timer,
            dealt_with,
        }
    })
}

fn stream(number: u8) -> StreamId {
    StreamId::new(
        ["order", "pay ment"][usize::from(number % 2)],
        format!("ü/{number}"),
    )
}

fn append(past: &Past) -> Append {
    let events = past.contents.iter().map(|data| NewEvent {
        id: id::new_v7(),
        kind: "happened".into(),
        data: data.clone().into(),
    });
    let timer = past.timer.map(|(name, second)| TimerChange::Set {
        name: name.to_string(),
        due_at: Timestamp::from_second(second).unwrap(),
    });
    let key = InboxKey::message("consumer", id::new_v7(), None);
    Append {
        stream: stream(past.stream),
        expected: Expected::Any,
        events: events.collect(),
        inbox: past.dealt_with.then(|| InboxEntry::new(key)),
        timers: timer.into_iter().collect(),
        metadata: Metadata::new(Some("somebody".into())),
    }
}

async fn on_sqlite() -> Db {
    let db = sqlite(&DatabaseSettings::default()).await;
    migrate(&db, &[], Mode::Auto).await.unwrap();
    db
}

/// Another schema of the same database: a server takes long to copy a whole one.
async fn on_postgres() -> Option<Db> {
    static URL: std::sync::OnceLock<Option<stanchion_sql::DatabaseUrl>> =
        std::sync::OnceLock::new();
    let url = URL.get_or_init(postgres_url).as_ref()?;
    let schema = format!("m{}", id::new_v7().simple());
    let settings = DatabaseSettings {
        connections_max: 3,
        ..DatabaseSettings::default()
    };
    let db = Db::open(url, &schema, &settings).await.unwrap();
    migrate(&db, &[], Mode::Auto).await.unwrap();
    Some(db)
}

async fn fresh() -> Vec<Db> {
    let mut all = vec![on_sqlite().await];
    all.extend(on_postgres().await);
    all
}

async fn live(db: &Db, pasts: &[Past]) {
    let log = SqlLog::open(db.clone()).await.unwrap();
    for past in pasts {
        log.append(append(past)).await.unwrap();
    }
}

fn some_past(dealt_with: bool) -> Past {
    Past {
        stream: 1,
        contents: vec![json!({"n": 1}), Json::Null],
        timer: Some((0, 7)),
        dealt_with,
    }
}

async fn exported(db: &Db) -> (Transferred, Vec<u8>) {
    let mut file = Vec::new();
    let done = export(db, &mut file).await.unwrap();
    (done, file)
}

async fn imported(db: &Db, file: &[u8]) -> Result<Transferred, TransferError> {
    import(db, Cursor::new(file.to_vec())).await
}

/// The lines that say what is in the log; each store is of another module and sorts in its own way.
fn lines(file: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(file).unwrap();
    let kept = text
        .lines()
        .filter(|line| !line.starts_with(r#"{"log""#) && !line.starts_with(r#"{"end""#));
    let mut lines: Vec<String> = kept.map(str::to_owned).collect();
    lines.sort();
    lines
}

/// From every store into every other one, and the same again out of it.
async fn goes_round(pasts: &[Past]) {
    for source in fresh().await {
        live(&source, pasts).await;
        let (out, file) = exported(&source).await;
        for target in fresh().await {
            assert_eq!(imported(&target, &file).await.unwrap(), out);
            let (again, copy) = exported(&target).await;
            assert_eq!(again, out);
            assert_eq!(lines(&copy), lines(&file));
            let report = verify_log(&target).await.unwrap();
            assert!(report.holds(), "{report}");
        }
    }
}

#[test]
fn a_log_comes_back_the_same_from_every_store_into_every_store() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases: 8,
        failure_persistence: None,
        ..Config::default()
    };
    let pasts = prop::collection::vec(past(), 0..12);
    let ran = TestRunner::new(config).run(&pasts, |pasts| {
        runtime.block_on(goes_round(&pasts));
        Ok(())
    });
    ran.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_stored_over_several_lines_stays_one_line_and_as_it_is() {
    for db in fresh().await {
        live(&db, &[some_past(false)]).await;
        // As another library may have written it: the checksum is over these bytes.
        let pretty = "{\n  \"n\": 1\n}";
        let sum = "select stream, event_id, meta from event where position = 1";
        let row = db.one(sum, params![]).await.unwrap();
        let checksum = checksum(
            row.get(0).unwrap(),
            row.get(1).unwrap(),
            pretty,
            row.get(2).unwrap(),
        );
        let sql = "update event set data = $1, checksum = $2 where position = 1";
        db.exec(sql, params![pretty, checksum]).await.unwrap();
        let (_, file) = exported(&db).await;
        let target = on_sqlite().await;
        imported(&target, &file).await.unwrap();
        let row = target.one(sum, params![]).await.unwrap();
        assert!(row.get::<Uuid>(0).is_ok());
        let data = "select data from event where position = 1";
        let row = target.one(data, params![]).await.unwrap();
        assert_eq!(row.get::<&str>(0).unwrap(), pretty);
    }
}

/// The checksum of version 0, by the words of the schema: it shares no code with the log.
fn checksum(stream: Uuid, event: Uuid, data: &str, meta: &str) -> i64 {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(stream.as_bytes());
    hash.update(event.as_bytes());
    for text in ["happened", data, meta] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    i64::from_be_bytes(hash.finalize()[..8].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_imported_log_goes_on_where_the_other_one_ended() {
    let source = on_sqlite().await;
    let past = some_past(true);
    let first = append(&past);
    let log = SqlLog::open(source.clone()).await.unwrap();
    log.append(first.clone()).await.unwrap();
    let (_, file) = exported(&source).await;
    for target in fresh().await {
        imported(&target, &file).await.unwrap();
        let copy = SqlLog::open(target).await.unwrap();
        assert_eq!(copy.id(), log.id());
        // Redelivered, it is known.
        let again = Append {
            events: append(&past).events,
            ..first.clone()
        };
        let answer = copy.append(again).await;
        assert!(
            matches!(answer, Err(AppendError::AlreadyHandled { .. })),
            "{answer:?}"
        );
        let next = Append {
            expected: Expected::Exact(Version(1)),
            ..append(&some_past(false))
        };
        assert_eq!(copy.append(next).await.unwrap().position, Position(4));
        let now = Timestamp::from_second(60).unwrap();
        let due = copy.due_timers("pay ment", now, 10).await.unwrap();
        assert_eq!((due.len(), &due[0].stream), (1, &stream(1)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_whole_leaves_nothing_behind() {
    let source = on_sqlite().await;
    live(&source, &[some_past(true), some_past(false)]).await;
    let (_, file) = exported(&source).await;
    let text = String::from_utf8(file.clone()).unwrap();
    let all: Vec<&str> = text.lines().collect();
    let without = |gone: usize| {
        let kept = all.iter().enumerate().filter(|(at, _)| *at != gone);
        kept.map(|(_, line)| format!("{line}\n"))
            .collect::<String>()
    };
    let mut damaged: Vec<String> = (0..all.len()).map(without).collect();
    damaged.extend([
        String::new(),
        text.trim_end().to_owned(),
        text[..text.len() / 2].to_owned(),
        format!("{text}{}\n", all[1]),
        text.replacen("\"n\":1", "\"n\":2", 1),
        text.replacen("somebody", "nobodyat", 1),
        text.replacen("\"format\":1", "\"format\":2", 1),
        text.replacen("\"due_at\":\"1970", "\"due_at\":\"1971", 1),
    ]);
    for target in fresh().await {
        for damaged in &damaged {
            let refused = imported(&target, damaged.as_bytes()).await;
            let wrong = matches!(refused, Err(TransferError::NotAnExport { .. }));
            assert!(wrong, "{refused:?} for {damaged}");
        }
        // The store is as it was.
        imported(&target, &file).await.unwrap();
        let again = imported(&target, &file).await;
        assert!(
            matches!(again, Err(TransferError::NotEmpty("event"))),
            "{again:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_is_not_exported() {
    for sabotage in [
        "delete from event where position = 2",
        "update event set type = 'other' where position = 2",
        "update stream set name = 'other'",
    ] {
        for db in fresh().await {
            live(&db, &[some_past(true), some_past(false)]).await;
            db.exec(sabotage, params![]).await.unwrap();
            let exported = export(&db, &mut Vec::new()).await;
            let found = matches!(exported, Err(TransferError::Damaged { .. }));
            assert!(found, "{sabotage}: {exported:?}");
        }
    }
}

/// What is done to a log, and a part of each finding.
const SABOTAGE: &[(&str, &[&str])] = &[
    (
        "delete from event where position = 2",
        &[
            "position 2: 2 is missing",
            "version 2: 1 is missing",
            "there is no version 1",
        ],
    ),
    (
        "update event set data = '{\"n\":2}' where position = 1",
        &["position 1: the checksum does not hold"],
    ),
    (
        "update event set version = 9 where position = 4",
        &["position 4: the checksum", "version 9: 3 to 8 are missing"],
    ),
    (
        "update event set category = 'x' where position = 3",
        &["position 3: it is of category x, but its stream of category pay ment"],
    ),
    (
        "update stream set name = 'other'",
        &["its stream's key is not that of pay ment-other"; 4],
    ),
    (
        "delete from stream",
        &[
            "has no name",
            "has no name",
            "has no name",
            "has no name",
            "timer: 1 timers of streams that are not there",
        ],
    ),
    (
        "update event set meta = '7' where position = 1",
        &[
            "position 1: the checksum",
            "position 1: its metadata cannot be read",
        ],
    ),
    (
        "update checkpoint set position = 5",
        &["checkpoint projection/p: it is at 5, and the log ends at 4"],
    ),
    (
        "update checkpoint set position = 2",
        &["at position 2 it saw another event"],
    ),
    (
        "update snapshot set version = 7",
        &["snapshot of pay ment-ü/1: there is no version 7; the next load discards it"],
    ),
    (
        "update snapshot set version = 2",
        &["version 2 is another event"],
    ),
    ("update snapshot set data = 'x'", &["it cannot be read"]),
    (
        "update inbox set position = 9",
        &["inbox: 1 rows whose effect is behind the log's end"],
    ),
];

/// A log with a checkpoint and a snapshot, all of it right.
async fn sound() -> Vec<Db> {
    let all = fresh().await;
    for db in &all {
        live(db, &[some_past(true), some_past(false)]).await;
        let event: Uuid = db
            .one("select event_id from event where position = 3", params![])
            .await
            .unwrap()
            .get(0)
            .unwrap();
        let log: Uuid = db
            .one("select id from feed", params![])
            .await
            .unwrap()
            .get(0)
            .unwrap();
        let sql = "insert into checkpoint (name, log, position, event_id, at) \
                   values ('projection/p', $1, 3, $2, $3), ('consumer/c', $2, 99, null, $3)";
        let now = stanchion_runtime::clock::now();
        db.exec(sql, params![log, event, now]).await.unwrap();
        let snapshots = SqlSnapshots::new(db.clone());
        let kept = KeptState {
            version: Version(1),
            event: db
                .one("select event_id from event where position = 2", params![])
                .await
                .unwrap()
                .get(0)
                .unwrap(),
            schema: 1,
            state: json!({}),
        };
        snapshots.keep(&stream(1), &kept).await.unwrap();
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_log_has_no_findings() {
    for db in sound().await {
        let report = verify_log(&db).await.unwrap();
        assert!(report.holds(), "{report}");
        let seen = (
            report.events,
            report.streams,
            report.checkpoints,
            report.snapshots,
        );
        assert_eq!(seen, (4, 1, 1, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_does_not_hold_is_found_and_nothing_else() {
    for (sabotage, expected) in SABOTAGE {
        for db in sound().await {
            db.exec(sabotage, params![]).await.unwrap();
            let report = verify_log(&db).await.unwrap();
            let found: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
            assert_eq!(found.len(), expected.len(), "{sabotage}: {report}");
            for (found, expected) in found.iter().zip(*expected) {
                assert!(found.contains(expected), "{sabotage}: {report}");
            }
            assert!(!report.holds());
        }
    }
}
