//! A client that goes away, or whose time is over, is heard at the database: over real sockets, on both databases.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use stanchion::runtime::{random, task};
use stanchion::server::{Running, ServerSettings};
use stanchion::sql::tokio_postgres::Client;
use stanchion::sql::{DatabaseSettings, Db, Engine, params};
use support::{Line, databases, operator, postgres_url, served};
use tokio::time::{Instant, sleep, timeout};

/// Longer than any test.
const ENDLESS: &str = "30000";
const GONE_WITHIN: Duration = Duration::from_millis(50);
const TURNS: usize = 15;

async fn start(db: &Db) -> (Running, std::net::SocketAddr) {
    let running = served(db, ServerSettings::default()).start().await.unwrap();
    let address = running.addresses().public.unwrap();
    (running, address)
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n{headers}\r\n")
}

/// How many of the route's statements run.
async fn running(operator: &Client) -> i64 {
    let sql = "select count(*) from pg_stat_activity
               where datname = current_database() and state = 'active' and query like '%pg_sleep%'
                 and pid <> pg_backend_pid()";
    operator.query_one(sql, &[]).await.unwrap().get(0)
}

async fn until_running(operator: &Client, expected: i64) -> Instant {
    for _ in 0..4_000 {
        if running(operator).await == expected {
            return Instant::now();
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("never were there {expected}");
}

/// The usual one is judged: a busy machine makes single ones late.
fn judge(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
    println!("{what}: median {median:.1?}, longest {longest:.1?}");
    assert!(median <= GONE_WITHIN, "{what}: {took:?}");
    assert!(longest <= GONE_WITHIN * 10, "{what}: {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_ends_at_the_database_when_its_client_goes_away() {
    let Some(url) = postgres_url() else { return };
    let db = Db::open(&url, "app", &DatabaseSettings::default())
        .await
        .unwrap();
    let (_running, address) = start(&db).await;
    let operator = operator(&url).await;
    let mut took = Vec::new();
    for _ in 0..TURNS {
        let mut line = Line::open(address).await;
        line.say(&get(&format!("/slow/{ENDLESS}"), "")).await;
        until_running(&operator, 1).await;
        let left = Instant::now();
        drop(line);
        took.push(until_running(&operator, 0).await - left);
    }
    judge("after the client's leaving", took);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_ends_at_the_database_when_its_time_is_over() {
    let Some(url) = postgres_url() else { return };
    let db = Db::open(&url, "app", &DatabaseSettings::default())
        .await
        .unwrap();
    let (_running, address) = start(&db).await;
    let operator = operator(&url).await;
    let mut took = Vec::new();
    for _ in 0..TURNS {
        let mut line = Line::open(address).await;
        let begun = Instant::now();
        line.say(&get(
            &format!("/slow/{ENDLESS}"),
            "x-request-timeout: 150ms\r\n",
        ))
        .await;
        until_running(&operator, 1).await;
        let gone = until_running(&operator, 0).await;
        took.push((gone - begun).saturating_sub(Duration::from_millis(150)));
        let (head, body) = line.answer().await;
        assert!(
            head.contains(" 504 ") && body.contains("DEADLINE_EXCEEDED"),
            "{head}{body}"
        );
    }
    judge("after the deadline", took);
}

/// The one thread that reads is free again: nothing else of SQLite can be seen from outside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_of_sqlite_is_interrupted_when_its_client_goes_away() {
    let settings = DatabaseSettings {
        readers: 1,
        ..DatabaseSettings::default()
    };
    let db = support::sqlite(&settings).await;
    let (_running, address) = start(&db).await;
    let mut took = Vec::new();
    for _ in 0..TURNS {
        let mut line = Line::open(address).await;
        line.say(&get(&format!("/slow/{ENDLESS}"), "")).await;
        sleep(Duration::from_millis(30)).await;
        let busy = timeout(Duration::from_millis(20), db.query("select 1", params![])).await;
        assert!(busy.is_err(), "the reader was to be busy");
        let left = Instant::now();
        drop(line);
        db.query("select 1", params![]).await.unwrap();
        took.push(left.elapsed());
    }
    judge("SQLite, after the client's leaving", took);
}

/// Two hundred clients leave at random moments, many as their statement ends; others of the same pool go on unharmed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_leavings_hit_no_other_statement() {
    let settings = DatabaseSettings {
        connections_max: 4,
        ..DatabaseSettings::default()
    };
    for db in databases(&settings).await {
        let (_running, address) = start(&db).await;
        let canaries: Vec<_> = (0..2)
            .map(|_| task::spawn("canary", sing(db.clone())))
            .collect();
        let leavers = (0..4).map(|_| {
            task::spawn("leaver", async move {
                for _ in 0..50 {
                    let mut line = Line::open(address).await;
                    line.say(&get("/slow/8", "")).await;
                    // About as long as the statement runs, so that the cancel and its end race.
                    sleep(random::jitter(Duration::from_millis(20))).await;
                }
            })
        });
        for leaver in leavers.collect::<Vec<_>>() {
            leaver.await.unwrap();
        }
        let mut sung = 0;
        for canary in canaries {
            canary.abort();
            sung += canary_song(canary).await;
        }
        // No connection was lost for good, and none is within a transaction.
        for _ in 0..8 {
            db.query(support::slow_sql(db.engine()), params![1_i64])
                .await
                .unwrap();
        }
        println!("{:?}: 200 left, no canary of {sung} was hit", db.engine());
    }
}

/// A canary that was hit has panicked; else it sings until it is told to end.
async fn canary_song(canary: task::Task<()>) -> usize {
    match canary.await {
        Err(task::TaskFailed::Panicked { text, .. }) => panic!("a canary was hit: {text}"),
        _ => 1,
    }
}

async fn sing(db: Db) {
    let sql = support::slow_sql(db.engine());
    loop {
        if let Err(error) = db.query(sql, params![3_i64]).await {
            panic!("{error}");
        }
    }
}

/// A write that waits in the log's queue goes on without its client, to the answer that a repeat is given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_write_whose_client_left_ends_in_its_recorded_answer() {
    let Some(url) = postgres_url() else { return };
    let db = Db::open(&url, "app", &DatabaseSettings::default())
        .await
        .unwrap();
    let (_running, address) = start(&db).await;
    let post = |key: &str| {
        format!(
            "POST /notes HTTP/1.1\r\nhost: a\r\nauthorization: Bearer somebody\r\nidempotency-key: {key}\r\n\
             content-length: 0\r\n\r\n"
        )
    };
    for turn in 0..5 {
        let holder = operator(&url).await;
        holder
            .batch_execute(
                "begin; select pg_advisory_xact_lock(8274, 'app.event'::regclass::oid::int)",
            )
            .await
            .unwrap();
        let key = format!("note-{turn}");
        let mut line = Line::open(address).await;
        line.say(&post(&key)).await;
        until_the_log_waits(&operator(&url).await).await;
        drop(line);
        sleep(Duration::from_millis(50)).await;
        holder.batch_execute("rollback").await.unwrap();

        let (head, body) = loop {
            let mut line = Line::open(address).await;
            line.say(&post(&key)).await;
            let (head, body) = line.answer().await;
            if !body.contains("REQUEST_IN_PROGRESS") {
                break (head, body);
            }
            sleep(Duration::from_millis(20)).await;
        };
        assert!(head.contains(" 201 "), "{head}{body}");
        assert!(head.contains("idempotent-replayed: true"), "{head}");
    }
    let row = db
        .one("select count(*) from event", params![])
        .await
        .unwrap();
    assert_eq!(row.get::<i64>(0).unwrap(), 5, "each once");
    assert_eq!(db.engine(), Engine::Postgres);
}

async fn until_the_log_waits(operator: &Client) {
    let sql = "select 1 from pg_stat_activity where application_name like '%/log'
               and datname = current_database() and wait_event = 'advisory'";
    for _ in 0..2_000 {
        if !operator.query(sql, &[]).await.unwrap().is_empty() {
            return;
        }
        sleep(Duration::from_millis(2)).await;
    }
    panic!("the append never waited");
}
