//! The log, the inbox and the consumers' store pass their ports' suites on both databases and in memory.
#![allow(clippy::unwrap_used)]

mod conformance {
    mod older_rows;
}
mod support;

use std::sync::Arc;

use stanchion_eventsourcing::{
    Append, AppendError, EventLog, Expected, MemoryLog, Metadata, NewEvent, StreamId,
};
use stanchion_messaging::{
    Claim, Claimed, ConsumerStore, Inbox, InboxKey, MemoryConsumerStore, MemoryInbox,
    MemoryRelayStore, RelayStore,
};
use stanchion_sql::{
    DatabaseSettings, DatabaseUrl, Db, Mode, SqlConsumerStore, SqlInbox, SqlLog, SqlRelayStore,
    migrate, params,
};
use stanchion_testing::conformance::{consumer_store, event_log, inbox, relay_store};
use stanchion_testing::servers::{self, PgBouncer};
use support::{postgres_url, sqlite};

async fn on_sqlite() -> Db {
    migrated(sqlite(&DatabaseSettings::default()).await).await
}

/// Another schema of the same database: a server takes long to copy a whole one.
async fn on_postgres(url: &DatabaseUrl) -> Db {
    let schema = format!("m{}", stanchion_runtime::id::new_v7().simple());
    let settings = DatabaseSettings {
        connections_max: 10,
        ..DatabaseSettings::default()
    };
    migrated(Db::open(url, &schema, &settings).await.unwrap()).await
}

async fn migrated(db: Db) -> Db {
    migrate(&db, &[], Mode::Auto).await.unwrap();
    db
}

async fn log(db: Db) -> Arc<dyn EventLog> {
    Arc::new(SqlLog::open(db).await.unwrap())
}

fn inbox_of(db: Db) -> Arc<dyn Inbox> {
    Arc::new(SqlInbox::new(db))
}

fn relays(db: Db) -> Arc<dyn RelayStore> {
    Arc::new(SqlRelayStore::new(db))
}

fn consumers(db: Db) -> Arc<dyn ConsumerStore> {
    Arc::new(SqlConsumerStore::new(db))
}

#[tokio::test]
async fn a_store_that_can_put_nothing_aside_says_so_though_it_can_be_read() {
    let db = on_sqlite().await;
    let store = consumers(db.clone());
    store.takes_writes("fulfilment").await.unwrap();
    db.script("alter table parked rename to away")
        .await
        .unwrap();
    assert!(store.progress("fulfilment").await.unwrap().is_empty());
    assert!(store.takes_writes("fulfilment").await.is_err());
}

/// Behind PgBouncer sessions are kept, pipelining and LISTEN are off: what a pooler may ask for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_behind_pgbouncer_conforms_without_pipelining_and_listen() {
    let Some(server) = servers::required("postgres") else {
        return;
    };
    if !PgBouncer::available() {
        return servers::skip("pgbouncer");
    }
    let (_, place) = server.split_once('@').unwrap();
    let (place, database) = place.split_once('/').unwrap();
    let pooler = PgBouncer::start(place.parse().unwrap(), "session").unwrap();
    let url = format!("postgres://postgres@{}/{database}", pooler.address());
    let settings = DatabaseSettings {
        connections_max: 4,
        pipelining: false,
        listen: false,
        ..DatabaseSettings::default()
    };
    event_log::run(async || {
        let schema = format!("m{}", stanchion_runtime::id::new_v7().simple());
        let db = Db::open(&url.parse().unwrap(), &schema, &settings).await;
        log(migrated(db.unwrap()).await).await
    })
    .await;
}

#[tokio::test]
async fn a_pooler_that_mixes_sessions_up_is_refused() {
    let Some(server) = servers::required("postgres") else {
        return;
    };
    if !PgBouncer::available() {
        return servers::skip("pgbouncer");
    }
    let (_, place) = server.split_once('@').unwrap();
    let (place, database) = place.split_once('/').unwrap();
    let pooler = PgBouncer::start(place.parse().unwrap(), "transaction").unwrap();
    let url = format!("postgres://postgres@{}/{database}", pooler.address());
    let settings = DatabaseSettings::default();
    let refused = Db::open(&url.parse().unwrap(), "orders", &settings).await;
    let said = refused.err().unwrap().to_string();
    assert!(said.contains("pool_mode = session"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_in_memory_conforms() {
    event_log::run(async || Arc::new(MemoryLog::new()) as Arc<dyn EventLog>).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_on_sqlite_conforms() {
    event_log::run(async || log(on_sqlite().await).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_on_postgres_conforms() {
    if let Some(url) = postgres_url() {
        event_log::run(async || log(on_postgres(&url).await).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inbox_in_memory_conforms() {
    inbox::run(async || Arc::new(MemoryInbox::default()) as Arc<dyn Inbox>).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inbox_on_sqlite_conforms() {
    inbox::run(async || inbox_of(on_sqlite().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inbox_on_postgres_conforms() {
    if let Some(url) = postgres_url() {
        inbox::run(async || inbox_of(on_postgres(&url).await)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_consumers_in_memory_conform() {
    consumer_store::run(async || {
        Arc::new(MemoryConsumerStore::default()) as Arc<dyn ConsumerStore>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_consumers_on_sqlite_conform() {
    consumer_store::run(async || consumers(on_sqlite().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_consumers_on_postgres_conform() {
    if let Some(url) = postgres_url() {
        consumer_store::run(async || consumers(on_postgres(&url).await)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_relays_in_memory_conform() {
    relay_store::run(async || Arc::new(MemoryRelayStore::default()) as Arc<dyn RelayStore>).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_relays_on_sqlite_conform() {
    relay_store::run(async || relays(on_sqlite().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_relays_on_postgres_conform() {
    if let Some(url) = postgres_url() {
        relay_store::run(async || relays(on_postgres(&url).await)).await;
    }
}

/// The file belongs to one process: what a dead one held is free at once, and a live one's token is too old then.
#[tokio::test]
async fn a_relays_lease_is_had_on_sqlite_whoever_held_it_and_on_postgres_it_is_waited_for() {
    let ttl = std::time::Duration::from_secs(30);
    let store = SqlRelayStore::new(on_sqlite().await);
    let first = store.take("orders", ttl).await.unwrap().unwrap();
    let second = store.take("orders", ttl).await.unwrap().unwrap();
    assert!(second > first && !store.renew("orders", first, ttl).await.unwrap());
    if let Some(url) = postgres_url() {
        let store = SqlRelayStore::new(on_postgres(&url).await);
        assert!(store.take("orders", ttl).await.unwrap().is_some());
        assert!(store.take("orders", ttl).await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_kept_answers_only_those_are_forgotten_that_have_the_text_in_them() {
    for db in support::migrated().await {
        let inbox = SqlInbox::new(db);
        let claim = |name: &str| Claim {
            key: InboxKey::request("caller", "POST /users", name),
            fingerprint: [7; 32],
            owner: stanchion_runtime::id::new_v7(),
            now: stanchion_runtime::clock::now(),
            expires_at: stanchion_runtime::clock::now() + jiff::SignedDuration::from_secs(30),
        };
        for (name, answer) in [("a", "\"id\":\"4711\""), ("b", "\"id\":\"4712\"")] {
            let claim = claim(name);
            inbox.claim(&claim).await.unwrap();
            let done = inbox.complete(&claim.key, claim.owner, answer.as_bytes());
            assert!(done.await.unwrap());
        }
        inbox.claim(&claim("running")).await.unwrap();
        assert_eq!(inbox.forget_answers("4711").await.unwrap(), 1);
        assert_eq!(inbox.forget_answers("4711").await.unwrap(), 0);
        assert_eq!(inbox.claim(&claim("a")).await.unwrap(), Claimed::Fresh);
        let other = inbox.claim(&claim("b")).await.unwrap();
        assert!(matches!(other, Claimed::Answered { .. }));
        let running = inbox.claim(&claim("running")).await.unwrap();
        assert_eq!(running, Claimed::Running);
    }
}

/// An append that was cut out of another one, or grew: what was acknowledged then must not stand for what is asked now.
#[tokio::test]
async fn an_append_that_is_there_in_part_is_refused_by_every_log() {
    let mut logs: Vec<Arc<dyn EventLog>> =
        vec![Arc::new(MemoryLog::new()), log(on_sqlite().await).await];
    if let Some(url) = postgres_url() {
        logs.push(log(on_postgres(&url).await).await);
    }
    for log in logs {
        let event = || NewEvent {
            id: stanchion_runtime::id::new_v7(),
            kind: "placed".into(),
            data: serde_json::json!({}).into(),
        };
        let append = |stream: &str, events: &[NewEvent]| Append {
            stream: StreamId::new("order", stream),
            expected: Expected::Any,
            events: events.to_vec(),
            inbox: None,
            timers: Vec::new(),
            metadata: Metadata::new(None),
        };
        let (one, two, three) = (event(), event(), event());
        let both = [one.clone(), two.clone()];
        let first = log.append(append("a", &both)).await.unwrap();
        assert_eq!(log.append(append("a", &both)).await.unwrap(), first);
        for (stream, events) in [
            ("a", vec![one.clone(), two.clone(), three.clone()]),
            ("a", vec![one.clone(), three.clone()]),
            ("a", vec![three.clone(), two.clone()]),
            ("b", vec![one.clone()]),
            ("b", vec![three.clone(), two.clone()]),
        ] {
            let refused = log.append(append(stream, &events)).await.unwrap_err();
            assert!(matches!(refused, AppendError::Invalid(_)), "{refused}");
        }
        assert_eq!(log.head().await.unwrap(), first.position);
    }
}

/// However many others there are: an operator waits for the one, and every consumer asks for the other each minute.
#[tokio::test]
async fn a_message_by_its_id_and_what_is_due_beyond_are_looked_up_by_an_index() {
    let db = on_sqlite().await;
    for (index, condition) in [
        ("parked_by_message", "message_id = 'any'"),
        (
            "parked_beyond",
            "consumer = 'any' and state = 'retry' and due_at > 'any' and substr(key, 1, 8) <> 'delayed/'",
        ),
    ] {
        let sql = format!("explain query plan select message from parked p where {condition}");
        let plan = db.query(&sql, params![]).await.unwrap();
        let steps = plan.iter().map(|row| row.get::<String>(3).unwrap());
        let steps: Vec<String> = steps.collect();
        let is_used = steps.iter().any(|step| step.contains(index));
        assert!(is_used, "{steps:?}");
    }
}
