//! A small service on one database, and a client that speaks HTTP/1.1 by hand.
#![allow(unreachable_pub)]

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use stanchion::auth::{Permissions, Principal};
use stanchion::eventsourcing::{Append, EventLog, Expected, Metadata, NewEvent, StreamId};
use stanchion::runtime::{id, task};
use stanchion::server::{
    Answer, Anyone, Authenticate, AuthenticateError, Caller, Idempotency, IdempotencyRule, Module,
    PathId, Problem, Routes, ServerSettings, Service, op,
};
use stanchion::sql::tokio_postgres::{self, Client, NoTls};
use stanchion::sql::{
    DatabaseSettings, DatabaseUrl, Db, Engine, Mode, SqlInbox, SqlLog, migrate, params,
};
use stanchion_testing::servers::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

/// A read that takes so many milliseconds, about.
pub fn slow_sql(engine: Engine) -> &'static str {
    match engine {
        Engine::Postgres => "select pg_sleep($1::bigint / 1000.0)::text",
        Engine::Sqlite => {
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < $1 * 4000) select max(i) from n"
        }
    }
}

#[derive(Clone)]
struct State {
    db: Db,
    log: Option<Arc<SqlLog>>,
}

/// The service, not yet started, and its tables made.
pub fn served(db: &Db, settings: ServerSettings) -> Served {
    Served {
        db: db.clone(),
        settings: ServerSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            lame_duck: Some(std::time::Duration::ZERO),
            ..settings
        },
    }
}

pub struct Served {
    db: Db,
    settings: ServerSettings,
}

impl Served {
    pub async fn start(self) -> Result<stanchion::server::Running, stanchion::server::StartError> {
        migrate(&self.db, &[], Mode::Auto).await.unwrap();
        let log = SqlLog::open(self.db.clone()).await.unwrap();
        let state = State {
            db: self.db.clone(),
            log: Some(Arc::new(log)),
        };
        let routes = Routes::new()
            .get("/slow/{millis}", op("Read slowly", slow))
            .post(
                "/notes",
                op("Note", note)
                    .idempotency(IdempotencyRule::Required)
                    .status(201),
            )
            .with_state(state);
        let module = Module::new("app")
            .routes(routes)
            .inbox(Arc::new(SqlInbox::new(self.db)));
        Service::new(self.settings)
            .base_path("")
            .tokens(Arc::new(Tokens))
            .mount(module)
            .start()
            .await
    }
}

async fn slow(
    _: Anyone,
    axum::extract::State(state): axum::extract::State<State>,
    PathId(millis): PathId<i64>,
) -> Result<Answer<String>, Problem> {
    let read = state.db.query(slow_sql(state.db.engine()), params![millis]);
    read.await.map_err(Problem::unavailable)?;
    Ok(Answer::ok("read".into()))
}

async fn note(
    _: Caller,
    axum::extract::State(state): axum::extract::State<State>,
    idempotency: Idempotency,
) -> Result<Answer<String>, Problem> {
    let id = id::new_v7();
    let answer = Answer::created(format!("/notes/{id}"), id.to_string());
    let append = Append {
        stream: StreamId::new("note", id.to_string()),
        expected: Expected::NoStream,
        events: vec![NewEvent {
            id,
            kind: "noted".into(),
            data: json!({}).into(),
        }],
        inbox: idempotency.entry(&answer),
        timers: Vec::new(),
        metadata: Metadata::new(None),
    };
    let log = state.log.ok_or_else(|| Problem::internal("no log"))?;
    log.append(append).await?;
    Ok(answer)
}

struct Tokens;

#[async_trait]
impl Authenticate for Tokens {
    async fn authenticate(&self, _: &str) -> Result<Principal, AuthenticateError> {
        let nobody_s = Permissions::parse("").unwrap_or_default();
        Ok(Principal::user(
            Uuid::from_u128(1),
            Uuid::from_u128(2),
            nobody_s,
        ))
    }
}

/// A connection that speaks HTTP/1.1 by hand.
pub struct Line(TcpStream);

impl Line {
    pub async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Head and body.
    pub async fn answer(&mut self) -> (String, String) {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(self.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(bytes).unwrap().to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await.unwrap();
        (head, String::from_utf8(body).unwrap())
    }
}

pub async fn sqlite(settings: &DatabaseSettings) -> Db {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .unwrap()
        .keep();
    Db::open(&DatabaseUrl::sqlite(folder), "app", settings)
        .await
        .unwrap()
}

pub async fn databases(settings: &DatabaseSettings) -> Vec<Db> {
    let mut all = vec![sqlite(settings).await];
    if let Some(url) = postgres_url() {
        all.push(Db::open(&url, "app", settings).await.unwrap());
    }
    all
}

/// A new database on the shared server.
pub fn postgres_url() -> Option<DatabaseUrl> {
    if !Postgres::available() {
        eprintln!(
            "SKIPPED on PostgreSQL: no server (set STANCHION_TEST_POSTGRES or install postgresql)"
        );
        return None;
    }
    let server = Postgres::shared().unwrap();
    Some(server.fresh_database().unwrap().parse().unwrap())
}

pub async fn operator(url: &DatabaseUrl) -> Client {
    // The password is not shown; the test server trusts.
    let connected = tokio_postgres::connect(&url.to_string(), NoTls).await;
    let (client, connection) = connected.unwrap();
    task::spawn("operator", async move { drop(connection.await) });
    client
}
