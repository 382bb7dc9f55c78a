//! Personal data and snapshots in a store: sealed wherever they are written, ended by shredding.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use stanchion_eventsourcing::{
    Aggregate, EventLog, Filter, KeptState, Metadata, Personal, Position, Repository,
    SUBJECT_CATEGORY, SealingKey, Snapshot, Snapshots, StreamId, SubjectEvent, SubjectKey, Vault,
    Version,
};
use stanchion_runtime::id;
use stanchion_sql::{
    DatabaseSettings, DatabaseUrl, Db, Mode, SqlLog, SqlSnapshots, SqlVault, export, migrate,
    params,
};
use stanchion_testing::servers::Postgres;
use support::databases;

/// Stands nowhere but in what is searched for.
const PLAIN: &str = "Ada-Lovelace-of-Ockham-Park";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Customer {
    name: Option<Personal<String>>,
    orders: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum CustomerEvent {
    Registered { name: Personal<String> },
    Ordered,
}

enum Command {
    Register,
    Order,
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;

impl Aggregate for Customer {
    const CATEGORY: &'static str = "customer";
    type Command = Command;
    type Event = CustomerEvent;
    type Refusal = Never;

    fn decide(&self, command: &Command) -> Result<Vec<CustomerEvent>, Never> {
        Ok(vec![match command {
            Command::Register => CustomerEvent::Registered {
                name: Personal::new("subject-4711", PLAIN.to_owned()),
            },
            Command::Order => CustomerEvent::Ordered,
        }])
    }

    fn evolve(&mut self, event: &CustomerEvent) {
        match event {
            CustomerEvent::Registered { name } => self.name = Some(name.clone()),
            CustomerEvent::Ordered => self.orders += 1,
        }
    }
}

impl Snapshot for Customer {
    const SCHEMA: i64 = 1;
}

async fn open(url: &DatabaseUrl) -> Db {
    let settings = DatabaseSettings::default();
    let db = Db::open(url, "customers", &settings).await.unwrap();
    migrate(&db, &[], Mode::Auto).await.unwrap();
    db
}

async fn migrated() -> Vec<Db> {
    let all = databases().await;
    for db in &all {
        migrate(db, &[], Mode::Auto).await.unwrap();
    }
    all
}

async fn customers(db: &Db, vault: &Arc<SqlVault>) -> Repository<Customer> {
    let log = SqlLog::open(db.clone()).await.unwrap();
    Repository::new(Arc::new(log))
        .snapshots(Arc::new(SqlSnapshots::new(db.clone())), 2)
        .personal(Arc::clone(vault) as Arc<dyn Vault>)
}

/// A customer with a name and two orders, and a snapshot of that.
async fn some_customer(db: &Db, vault: &Arc<SqlVault>) {
    let customers = customers(db, vault).await;
    for command in [Command::Register, Command::Order, Command::Order] {
        let metadata = Metadata::new(None);
        customers.execute("1", &command, &metadata).await.unwrap();
    }
    let snapshots = SqlSnapshots::new(db.clone());
    let stream = StreamId::new("customer", "1");
    while snapshots.load(&stream).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn exported(db: &Db) -> Vec<u8> {
    let mut file = Vec::new();
    export(db, &mut file).await.unwrap();
    file
}

fn contains(bytes: &[u8], searched: &[u8]) -> bool {
    bytes.windows(searched.len()).any(|part| part == searched)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}

/// The files that hold these bytes.
fn holding(folder: &Path, searched: &[u8]) -> Vec<PathBuf> {
    let mut files = files_below(folder);
    // A file that went away meanwhile holds nothing.
    files.retain(|file| std::fs::read(file).is_ok_and(|bytes| contains(&bytes, searched)));
    files
}

async fn sealed_key(db: &Db) -> Vec<u8> {
    let row = db.one("select key from subject", params![]).await.unwrap();
    row.get(0).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_of_sqlite_ever_holds_the_value_and_after_shredding_none_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(folder.path());
    let master = SealingKey::generate();
    let db = open(&url).await;
    let vault = SqlVault::new(db.clone(), master.clone());
    some_customer(&db, &vault).await;
    let key = sealed_key(&db).await;
    // The search can find something: the key stands in a file now.
    assert!(!holding(folder.path(), &key).is_empty());
    assert_eq!(holding(folder.path(), PLAIN.as_bytes()), [] as [PathBuf; 0]);
    assert!(!contains(&exported(&db).await, PLAIN.as_bytes()));
    vault
        .shred("subject-4711", &Metadata::new(None))
        .await
        .unwrap();
    db.close().await;
    drop((db, vault));
    assert_eq!(holding(folder.path(), &key), [] as [PathBuf; 0]);
    let db = open(&url).await;
    let vault = SqlVault::new(db.clone(), master);
    let state = customers(&db, &vault).await.load("1").await.unwrap().state;
    assert!(state.name.unwrap().is_shredded());
    assert_eq!(state.orders, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_and_no_wal_of_postgres_ever_holds_the_value() {
    if support::postgres_url().is_none() {
        return;
    }
    // One of its own: its files are searched.
    let server = Postgres::start().unwrap();
    let db = open(&server.url().parse().unwrap()).await;
    let vault = SqlVault::new(db.clone(), SealingKey::generate());
    some_customer(&db, &vault).await;
    db.exec("checkpoint", params![]).await.unwrap();
    let folder = server.socket_folder().unwrap();
    assert!(!holding(folder, b"subject-4711").is_empty());
    assert_eq!(holding(folder, PLAIN.as_bytes()), [] as [PathBuf; 0]);
    assert!(!contains(&exported(&db).await, PLAIN.as_bytes()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shredding_leaves_a_proof_and_tells_who_follows_the_log() {
    for db in migrated().await {
        let master = SealingKey::generate();
        let vault = SqlVault::new(db.clone(), master.clone());
        some_customer(&db, &vault).await;
        let metadata = Metadata::new(Some("operator".into()));
        let first = vault.shred("subject-4711", &metadata).await.unwrap();
        assert_eq!(first.snapshots, 1);
        let again = vault.shred("subject-4711", &metadata).await.unwrap();
        assert_eq!((again.at, again.snapshots), (first.at, 0));
        let log = SqlLog::open(db.clone()).await.unwrap();
        let told = log
            .read(Position::START, &Filter::category(SUBJECT_CATEGORY), 10)
            .await
            .unwrap();
        let shredded = SubjectEvent::SubjectShredded {
            subject: "subject-4711".into(),
        };
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].decode::<SubjectEvent>().unwrap(), shredded);
        assert_eq!(told[0].metadata.principal.as_deref(), Some("operator"));
        // Another process reads the rest, and no new key is made.
        let vault = SqlVault::new(db.clone(), master);
        let state = customers(&db, &vault).await.load("1").await.unwrap().state;
        assert_eq!((state.orders, state.name.unwrap().is_shredded()), (2, true));
        let keys = vault.keys_to_seal(&["subject-4711".into()]).await.unwrap();
        assert!(matches!(keys["subject-4711"], SubjectKey::Shredded));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_meet_a_subject_together_agree_on_its_key() {
    for db in migrated().await {
        let master = SealingKey::generate();
        let vaults: Vec<_> = (0..8)
            .map(|_| SqlVault::new(db.clone(), master.clone()))
            .collect();
        let subjects = ["a".to_owned(), "b".to_owned()];
        let asked = vaults.iter().map(|vault| vault.keys_to_seal(&subjects));
        let keys = futures_util::future::join_all(asked).await;
        let shown: Vec<String> = keys
            .iter()
            .map(|keys| {
                let keys = keys.as_ref().unwrap();
                format!("{:?} {:?}", keys["a"], keys["b"])
            })
            .collect();
        assert!(shown.iter().all(|one| *one == shown[0]), "{shown:?}");
        // Another master key opens nothing, and says which one is wanted.
        let stranger = SqlVault::new(db.clone(), SealingKey::generate());
        let refused = stranger.keys_to_open(&subjects).await.unwrap_err();
        assert!(refused.to_string().contains("sealed with"), "{refused}");
    }
}

#[tokio::test]
async fn the_newest_snapshot_is_kept_until_it_is_discarded() {
    for db in migrated().await {
        let snapshots = SqlSnapshots::new(db);
        let stream = StreamId::new("customer", "1");
        let state = |version, schema| KeptState {
            version: Version(version),
            event: id::new_v7(),
            schema,
            state: json!({"orders": version}),
        };
        let mut kept = state(9, 1);
        for (given, replaces) in [
            (kept.clone(), true),
            (state(4, 1), false),
            (state(12, 1), true),
            (state(3, 2), true),
        ] {
            snapshots.keep(&stream, &given).await.unwrap();
            if replaces {
                kept = given;
            }
            assert_eq!(snapshots.load(&stream).await.unwrap().unwrap(), kept);
        }
        snapshots.discard(&stream, Version(12)).await.unwrap();
        assert!(snapshots.load(&stream).await.unwrap().is_some());
        snapshots.discard(&stream, Version(3)).await.unwrap();
        assert!(snapshots.load(&stream).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn only_the_snapshots_that_name_a_subject_are_forgotten() {
    for db in migrated().await {
        let snapshots = SqlSnapshots::new(db);
        for subject in ["a_b", "axb", "a\"b"] {
            let kept = KeptState {
                version: Version(1),
                event: id::new_v7(),
                schema: 1,
                state: json!({"name": {"subject": subject, "cipher": "AQ"}}),
            };
            let stream = StreamId::new("customer", subject);
            snapshots.keep(&stream, &kept).await.unwrap();
        }
        assert_eq!(snapshots.forget_subject("a_b").await.unwrap(), 1);
        assert_eq!(snapshots.forget_subject("a\"b").await.unwrap(), 1);
        assert_eq!(snapshots.forget_subject("unheard of").await.unwrap(), 0);
        let left = snapshots.load(&StreamId::new("customer", "axb")).await;
        assert!(left.unwrap().is_some());
    }
}
