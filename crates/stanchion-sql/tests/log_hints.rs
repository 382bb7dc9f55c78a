//! Hints of other transactions go over the committer's connection, and never between the steps of a transaction.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use stanchion_eventsourcing::{Append, EventLog, Expected, Metadata, NewEvent, StreamId};
use stanchion_runtime::{id, task};
use stanchion_sql::tokio_postgres::Config;
use stanchion_sql::{DatabaseSettings, Db, Mode, SqlLog, UnitOfWork, migrate};
use support::postgres_url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Each answer is held back so long: what may be sent in between, is.
const SLOW: Duration = Duration::from_millis(2);

/// Appends, and units of work beside them, one after the other in each of these.
const LANES: usize = 4;
const EACH: usize = 40;

/// What each connection's client said.
type Said = Arc<Mutex<Vec<Vec<u8>>>>;

/// Passes on to a server and keeps what it is told.
async fn listened(server: SocketAddr) -> (SocketAddr, Said) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (address, said) = (listener.local_addr().unwrap(), Said::default());
    let kept = Arc::clone(&said);
    let _accepting = task::spawn("listen", async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(server).await.unwrap();
            let number = {
                let mut said = kept.lock();
                said.push(Vec::new());
                said.len() - 1
            };
            for stream in [&client, &server] {
                stream.set_nodelay(true).unwrap();
            }
            let ((mut asks, mut hears), (mut answers, mut is_asked)) =
                (client.into_split(), server.into_split());
            let kept = Arc::clone(&kept);
            let _forth = task::spawn("forth", async move {
                let mut part = vec![0; 64 << 10];
                while let Ok(length @ 1..) = asks.read(&mut part).await {
                    kept.lock()[number].extend_from_slice(&part[..length]);
                    if is_asked.write_all(&part[..length]).await.is_err() {
                        return;
                    }
                }
            });
            let _back = task::spawn("back", async move {
                let mut part = vec![0; 64 << 10];
                while let Ok(length @ 1..) = answers.read(&mut part).await {
                    tokio::time::sleep(SLOW).await;
                    if hears.write_all(&part[..length]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, said)
}

/// What the committer's connection did.
#[derive(Debug, Default)]
struct Seen {
    transactions: usize,
    hints: usize,
    /// Hints within somebody's transaction.
    misplaced: usize,
}

/// Reads the messages of a connection's client: PostgreSQL's protocol, version 3.
fn seen(said: &[u8]) -> Seen {
    let number = |at: usize| u32::from_be_bytes(said[at..at + 4].try_into().unwrap()) as usize;
    let text = |at: usize| {
        let end = said[at..].iter().position(|byte| *byte == 0).unwrap();
        String::from_utf8_lossy(&said[at..at + end]).into_owned()
    };
    // The first message has no kind.
    let mut at = number(0);
    let (mut seen, mut is_open) = (Seen::default(), false);
    let mut statements = HashMap::new();
    while at + 5 <= said.len() && at + 1 + number(at + 1) <= said.len() {
        let (kind, content) = (said[at], at + 5);
        match kind {
            b'Q' => {
                let sql = text(content);
                let begins = sql.starts_with("begin");
                seen.transactions += usize::from(begins);
                is_open = begins || is_open && sql != "commit" && sql != "rollback";
            }
            b'P' => {
                let name = text(content);
                let sql = text(content + name.len() + 1);
                statements.insert(name, sql);
            }
            b'B' => {
                let portal = text(content);
                let name = text(content + portal.len() + 1);
                let sql = statements.get(&name).map_or("", String::as_str);
                let is_hint = sql.contains("pg_notify(");
                seen.hints += usize::from(is_hint);
                seen.misplaced += usize::from(is_hint && is_open);
            }
            _ => {}
        }
        at += 1 + number(at + 1);
    }
    seen
}

fn event() -> NewEvent {
    NewEvent {
        id: id::new_v7(),
        kind: "placed".into(),
        data: json!({}).into(),
    }
}

fn stream() -> StreamId {
    StreamId::new("order", id::new_v7().to_string())
}

async fn append(log: &SqlLog) {
    // Nothing is known of the stream: the committer looks before it writes.
    let append = Append {
        stream: stream(),
        expected: Expected::Any,
        events: vec![event()],
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    };
    log.append(append).await.unwrap();
}

async fn record(db: &Db) {
    let mut work = UnitOfWork::begin(db);
    let metadata = Metadata::new(None);
    work.record(stream(), Expected::Any, vec![event()], &metadata);
    work.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_logs_hints_never_fall_into_its_own_transactions() {
    for pipelining in [true, false] {
        let Some(url) = postgres_url() else { return };
        // The password is not shown; the test server trusts.
        let config: Config = url.to_string().replace(":***", "").parse().unwrap();
        let port = config.get_ports().first().copied().unwrap_or(5_432);
        let (address, said) = listened((Ipv4Addr::LOCALHOST, port).into()).await;
        let (user, database) = (config.get_user().unwrap(), config.get_dbname().unwrap());
        let through = format!("postgres://{user}@{address}/{database}");
        let settings = DatabaseSettings {
            pipelining,
            ..DatabaseSettings::default()
        };
        let db = Db::open(&through.parse().unwrap(), "orders", &settings).await;
        let db = db.unwrap();
        migrate(&db, &[], Mode::Auto).await.unwrap();
        let log = Arc::new(SqlLog::open(db.clone()).await.unwrap());
        let lanes = (0..LANES).map(|_| {
            let (log, db) = (Arc::clone(&log), db.clone());
            task::spawn("lane", async move {
                for _ in 0..EACH {
                    tokio::join!(append(&log), record(&db));
                }
            })
        });
        for lane in lanes.collect::<Vec<_>>() {
            lane.await.unwrap();
        }
        assert_eq!(log.head().await.unwrap().0 as usize, 2 * LANES * EACH);
        let all: Vec<Seen> = said.lock().iter().map(|said| seen(said)).collect();
        let hinted: Vec<&Seen> = all.iter().filter(|seen| seen.hints > 0).collect();
        let [committer] = hinted[..] else {
            panic!("one connection tells of what grew: {all:?}");
        };
        assert!(
            committer.transactions > 10 && committer.hints > 10,
            "nothing was tried: {committer:?}"
        );
        assert_eq!(committer.misplaced, 0, "{committer:?}");
    }
}
