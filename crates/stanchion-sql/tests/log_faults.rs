//! Broken connections, unknown outcomes, servers that forget: what is told about an append stays true.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use stanchion_eventsourcing::{
    Append, AppendError, Appended, EventLog, Expected, Filter, Metadata, NewEvent, Position,
    StreamId, Version,
};
use stanchion_runtime::{id, task};
use stanchion_sql::tokio_postgres::{Client, NoTls};
use stanchion_sql::{
    DatabaseSettings, DatabaseUrl, Db, Mode, SqlError, SqlLog, migrate, tokio_postgres,
};
use stanchion_testing::proxy::Cut;
use stanchion_testing::servers::Postgres;
use support::{postgres_url, proxied};
use tokio::time::Instant;
use uuid::Uuid;

fn append(stream: &str, expected: Expected) -> Append {
    Append {
        stream: StreamId::new("order", stream),
        expected,
        events: vec![NewEvent {
            id: id::new_v7(),
            kind: "placed".into(),
            data: json!({ "n": 1 }).into(),
        }],
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    }
}

async fn open(url: &DatabaseUrl, settings: &DatabaseSettings) -> (Db, Arc<SqlLog>) {
    let db = Db::open(url, "orders", settings).await.unwrap();
    migrate(&db, &[], Mode::Auto).await.unwrap();
    let log = SqlLog::open(db.clone()).await.unwrap();
    (db, Arc::new(log))
}

async fn operator(url: &DatabaseUrl) -> Client {
    // The password is not shown; the test server trusts.
    let connected = tokio_postgres::connect(&url.to_string(), NoTls).await;
    let (client, connection) = connected.unwrap();
    task::spawn("operator", async move { drop(connection.await) });
    client
}

const LOGS_BACKENDS: &str =
    "from pg_stat_activity where application_name like '%/log' and datname = current_database()";

async fn kill_the_logs_connection(operator: &Client) {
    let sql = format!("select pg_terminate_backend(pid) {LOGS_BACKENDS}");
    operator.query(&sql, &[]).await.unwrap();
}

/// Waits until the log's connection waits for this.
async fn wait_until_it_waits_for(operator: &Client, event: &str) {
    let sql = format!("select 1 {LOGS_BACKENDS} and wait_event = $1");
    for _ in 0..1_000 {
        if !operator.query(&sql, &[&event]).await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the log never waited for {event}");
}

/// Makes every commit wait for a replica that is not there; a reload takes its time.
async fn wait_for_a_ghost(operator: &Client, url: &DatabaseUrl) {
    for sql in [
        "alter system set synchronous_standby_names = 'ghost'",
        "select pg_reload_conf()",
    ] {
        operator.batch_execute(sql).await.unwrap();
    }
    let probe = self::operator(url).await;
    for n in 0..1_000 {
        let sql = format!("create table probe_{n} ()");
        let done = probe.batch_execute(&sql);
        if tokio::time::timeout(Duration::from_millis(100), done)
            .await
            .is_err()
        {
            return;
        }
    }
    panic!("no commit ever waited");
}

async fn ids(log: &SqlLog) -> Vec<Uuid> {
    let all = Filter::all();
    let entries = log.read(Position::START, &all, 10_000).await.unwrap();
    for (entry, position) in entries.iter().zip(1..) {
        assert_eq!(
            entry.position,
            Position(position),
            "a hole in the positions"
        );
    }
    entries.iter().map(|entry| entry.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_its_connection_is_killed_nothing_is_lost_or_doubled() {
    let Some(url) = postgres_url() else { return };
    let (_db, log) = open(&url, &DatabaseSettings::default()).await;
    let operator = operator(&url).await;
    let over = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..16 {
        let (log, over) = (Arc::clone(&log), Arc::clone(&over));
        writers.push(task::spawn("writer", async move {
            let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
            let mut expected = Expected::NoStream;
            while !over.load(Ordering::Relaxed) {
                let one = append(&writer.to_string(), expected);
                let id = one.events[0].id;
                match log.append(one).await {
                    Ok(Appended { version, .. }) => {
                        acknowledged.push(id);
                        // Nobody else writes here: its versions follow one another.
                        assert_eq!(version, Some(Version(acknowledged.len() as i64 - 1)));
                        expected = version.map_or(Expected::NoStream, Expected::Exact);
                    }
                    Err(AppendError::Unavailable(_)) => refused.push(id),
                    Err(other) => panic!("{other}"),
                }
            }
            (acknowledged, refused)
        }));
    }
    for _ in 0..15 {
        let before = log.head().await.unwrap();
        kill_the_logs_connection(&operator).await;
        // It goes on by itself.
        let goes_on = async {
            while log.head().await.unwrap() == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), goes_on)
            .await
            .unwrap();
    }
    over.store(true, Ordering::Relaxed);
    let (mut acknowledged, mut refused) = (HashSet::new(), HashSet::new());
    for writer in writers {
        let (mine, not) = writer.await.unwrap();
        acknowledged.extend(mine);
        refused.extend(not);
    }
    let stored = ids(&log).await;
    let unique: HashSet<Uuid> = stored.iter().copied().collect();
    assert_eq!(unique.len(), stored.len(), "an event is there twice");
    assert_eq!(unique, acknowledged);
    assert!(refused.is_disjoint(&unique), "a refused event is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_cut_off_after_it_happened_is_found_by_its_ids() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::start().unwrap();
    let url: DatabaseUrl = server.fresh_database().unwrap().parse().unwrap();
    let (_db, log) = open(&url, &DatabaseSettings::default()).await;
    let operator = operator(&url).await;
    // What is committed is never acknowledged.
    wait_for_a_ghost(&operator, &url).await;
    let one = append("a", Expected::NoStream);
    let id = one.events[0].id;
    let appending = {
        let log = Arc::clone(&log);
        task::spawn("append", async move { log.append(one).await })
    };
    wait_until_it_waits_for(&operator, "SyncRep").await;
    kill_the_logs_connection(&operator).await;
    // It looks for the ids, finds them, and does not say so before that is as safe as any commit.
    wait_until_it_waits_for(&operator, "SyncRep").await;
    assert!(!appending.is_finished());
    for sql in [
        "alter system reset synchronous_standby_names",
        "select pg_reload_conf()",
    ] {
        operator.batch_execute(sql).await.unwrap();
    }
    let appended = appending.await.unwrap().unwrap();
    assert_eq!(
        (appended.position, appended.version),
        (Position(1), Some(Version(0)))
    );
    assert_eq!(ids(&log).await, [id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_the_outcome_stays_unknown_and_what_only_waited_was_not_written() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::start().unwrap();
    let url: DatabaseUrl = server.fresh_database().unwrap().parse().unwrap();
    let settings = DatabaseSettings {
        append_wait: Duration::from_millis(500),
        ..DatabaseSettings::default()
    };
    let (_db, log) = open(&url, &settings).await;
    let operator = operator(&url).await;
    operator
        .batch_execute(
            "begin; select pg_advisory_xact_lock(8274, 'orders.event'::regclass::oid::int)",
        )
        .await
        .unwrap();
    let appending = {
        let log = Arc::clone(&log);
        task::spawn("append", async move {
            log.append(append("a", Expected::NoStream)).await
        })
    };
    wait_until_it_waits_for(&self::operator(&url).await, "advisory").await;
    drop(server);
    let answer = appending.await.unwrap();
    assert!(matches!(answer, Err(AppendError::Unknown)), "{answer:?}");
    let answer = log.append(append("b", Expected::NoStream)).await;
    assert!(
        matches!(answer, Err(AppendError::Unavailable(_))),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_waits_for_too_long_is_shed_and_not_written() {
    let Some(url) = postgres_url() else { return };
    let settings = DatabaseSettings {
        append_wait: Duration::from_millis(300),
        ..DatabaseSettings::default()
    };
    let (_db, log) = open(&url, &settings).await;
    let operator = operator(&url).await;
    operator
        .batch_execute(
            "begin; select pg_advisory_xact_lock(8274, 'orders.event'::regclass::oid::int)",
        )
        .await
        .unwrap();
    let first = append("a", Expected::NoStream);
    let id = first.events[0].id;
    let appending = {
        let log = Arc::clone(&log);
        task::spawn("append", async move { log.append(first).await })
    };
    wait_until_it_waits_for(&self::operator(&url).await, "advisory").await;
    let shed = log.append(append("b", Expected::NoStream)).await;
    assert!(matches!(shed, Err(AppendError::Overloaded)), "{shed:?}");
    operator.batch_execute("rollback").await.unwrap();
    appending.await.unwrap().unwrap();
    assert_eq!(ids(&log).await, [id]);
}

/// Holds the log's lock until it is dropped or rolled back.
async fn hold_the_log(url: &DatabaseUrl) -> Client {
    let holder = operator(url).await;
    let lock = "begin; select pg_advisory_xact_lock(8274, 'orders.event'::regclass::oid::int)";
    holder.batch_execute(lock).await.unwrap();
    holder
}

/// Waits for a lock for less long than it takes the database to give up.
fn impatient() -> DatabaseSettings {
    DatabaseSettings {
        append_wait: Duration::from_millis(200),
        lock_timeout: Duration::from_millis(300),
        ..DatabaseSettings::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_append_that_waited_for_too_long_does_not_wait_for_another_attempt() {
    let Some(url) = postgres_url() else { return };
    let (_db, log) = open(&url, &impatient()).await;
    let holder = hold_the_log(&url).await;
    // Refused by the lock's bound, it could be repeated for five times as long.
    let answer = log.append(append("a", Expected::NoStream)).await;
    assert!(matches!(answer, Err(AppendError::Overloaded)), "{answer:?}");
    holder.batch_execute("rollback").await.unwrap();
    assert!(ids(&log).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_in_doubt_is_told_so_while_nobody_can_look() {
    let Some(url) = postgres_url() else { return };
    let (_db, log) = open(&url, &impatient()).await;
    let holder = hold_the_log(&url).await;
    let appending = {
        let log = Arc::clone(&log);
        let one = append("a", Expected::NoStream);
        task::spawn("append", async move { log.append(one).await })
    };
    let operator = operator(&url).await;
    wait_until_it_waits_for(&operator, "advisory").await;
    kill_the_logs_connection(&operator).await;
    // Each look waits for the lock, is refused, and would be repeated for as long as the lock is held.
    let answer = tokio::time::timeout(Duration::from_secs(30), appending).await;
    let answer = answer.unwrap().unwrap();
    assert!(matches!(answer, Err(AppendError::Unknown)), "{answer:?}");
    holder.batch_execute("rollback").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_in_doubt_that_waited_for_too_long_is_not_taken_along_again() {
    let Some(url) = postgres_url() else { return };
    let settings = DatabaseSettings {
        append_wait: Duration::from_millis(200),
        lock_timeout: Duration::from_secs(30),
        ..DatabaseSettings::default()
    };
    let (_db, log) = open(&url, &settings).await;
    let holder = hold_the_log(&url).await;
    let operator = operator(&url).await;
    let appending = {
        let log = Arc::clone(&log);
        let one = append("a", Expected::NoStream);
        task::spawn("append", async move { log.append(one).await })
    };
    wait_until_it_waits_for(&operator, "advisory").await;
    kill_the_logs_connection(&operator).await;
    // The look for it waits as well; by its end the time is over, and there is no other look.
    wait_until_it_waits_for(&operator, "advisory").await;
    tokio::time::sleep(2 * settings.append_wait).await;
    kill_the_logs_connection(&operator).await;
    let answer = tokio::time::timeout(Duration::from_secs(10), appending).await;
    let answer = answer.expect("it looks again and again").unwrap();
    assert!(matches!(answer, Err(AppendError::Unknown)), "{answer:?}");
    holder.batch_execute("rollback").await.unwrap();
}

/// More connections than a pool of one idle log asks for.
const POOL_GROWS_MAX: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_made_anew_is_another_incarnation_of_the_log() {
    let Some(url) = postgres_url() else { return };
    let (_db, log) = open(&url, &DatabaseSettings::default()).await;
    log.append(append("a", Expected::NoStream)).await.unwrap();
    // The pool makes the connections it wants, whenever it wants one more; then only the committer makes any.
    let mut before = 0;
    for _ in 0..POOL_GROWS_MAX {
        log.head().await.unwrap();
        before = log.incarnation();
        log.append(append("b", Expected::Any)).await.unwrap();
        if log.incarnation() == before {
            break;
        }
    }
    assert_eq!(log.incarnation(), before, "an append makes none");
    kill_the_logs_connection(&operator(&url).await).await;
    let goes_on = async { while log.append(append("c", Expected::Any)).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(30), goes_on)
        .await
        .unwrap();
    assert!(log.incarnation() > before, "it may be another server's log");
}

#[tokio::test]
async fn a_server_that_takes_connections_and_says_nothing_is_given_up_in_time() {
    let Some((_, through, proxy)) = proxied() else {
        return;
    };
    proxy.stall(true);
    let began = Instant::now();
    let settings = DatabaseSettings::default();
    let opened = tokio::time::timeout(
        Duration::from_secs(30),
        Db::open(&through, "orders", &settings),
    );
    let refused = opened.await.expect("it waits for ever").unwrap_err();
    assert!(matches!(refused, SqlError::Unavailable(_)), "{refused}");
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "10 s are the bound"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_falls_silent_while_it_is_made_ready_is_made_anew() {
    let Some((_, through, proxy)) = proxied() else {
        return;
    };
    let (_db, log) = open(&through, &DatabaseSettings::default()).await;
    log.append(append("a", Expected::NoStream)).await.unwrap();
    // It was let in and is told how it is to work: beyond what bounds the way in.
    proxy.cut(Cut::Silence, b"force_generic_plan");
    proxy.sever();
    let goes_on = async { while log.append(append("b", Expected::Any)).await.is_err() {} };
    // 15 s are the bound of an attempt.
    tokio::time::timeout(Duration::from_secs(45), goes_on)
        .await
        .expect("it waits for ever");
    assert!(!proxy.armed(), "the silence was met");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_while_it_is_made_ready_is_made_anew_at_once() {
    let Some((_, through, proxy)) = proxied() else {
        return;
    };
    let (_db, log) = open(&through, &DatabaseSettings::default()).await;
    log.append(append("a", Expected::NoStream)).await.unwrap();
    for pattern in [&b"force_generic_plan"[..], b"stanchion_write", b"pg_notify"] {
        proxy.cut(Cut::Tail(0), pattern);
        proxy.sever();
        let goes_on = async { while log.append(append("b", Expected::Any)).await.is_err() {} };
        // Whoever waited for the answer that was lost is told: no bound is waited for.
        tokio::time::timeout(Duration::from_secs(5), goes_on)
            .await
            .expect("it waits for a bound");
        assert!(!proxy.armed(), "the cut was met");
    }
    // The first connection of all, too.
    proxy.cut(Cut::Tail(0), b"stanchion_write");
    let db = Db::open(&through, "orders", &DatabaseSettings::default()).await;
    let opened = SqlLog::open(db.unwrap());
    let opened = tokio::time::timeout(Duration::from_secs(5), opened).await;
    let refused = opened.expect("it waits for a bound").map(drop).unwrap_err();
    assert!(matches!(refused, SqlError::Unavailable(_)), "{refused}");
}

#[tokio::test]
async fn a_server_that_forgets_what_it_acknowledged_is_refused() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::options().fast().start().unwrap();
    let url: DatabaseUrl = server.fresh_database().unwrap().parse().unwrap();
    let allowed = DatabaseSettings {
        allow_unsafe_durability: true,
        ..DatabaseSettings::default()
    };
    let (db, log) = open(&url, &allowed).await;
    log.append(append("a", Expected::NoStream)).await.unwrap();
    drop((db, log));
    let db = Db::open(&url, "orders", &DatabaseSettings::default())
        .await
        .unwrap();
    let refused = SqlLog::open(db).await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("= off"), "{refused}");
}
