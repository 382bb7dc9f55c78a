//! Personal data in a store: sealed wherever they are written, ended by shredding.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stanchion_eventsourcing::{
    EventLog, Filter, Metadata, Position, SUBJECT_CATEGORY, SealingKey, SubjectEvent, Vault,
};
use stanchion_runtime::id;
use stanchion_sql::{
    DatabaseSettings, DatabaseUrl, Db, Mode, SqlLog, SqlSnapshots, SqlVault, export, migrate,
    params,
};
use stanchion_testing::conformance::personal::{self, House, NAME, SUBJECT};
use stanchion_testing::servers::Postgres;
use support::{migrated, postgres_url, sqlite};

async fn open(url: &DatabaseUrl) -> Db {
    let settings = DatabaseSettings::default();
    let db = Db::open(url, "customers", &settings).await.unwrap();
    migrate(&db, &[], Mode::Auto).await.unwrap();
    db
}

/// Log, snapshots and keys in one store.
async fn house(db: &Db, master: &SealingKey) -> House {
    let vault = SqlVault::new(db.clone(), master.clone());
    let (shredding, elsewhere) = (Arc::clone(&vault), (db.clone(), master.clone()));
    House {
        log: Arc::new(SqlLog::open(db.clone()).await.unwrap()),
        snapshots: Arc::new(SqlSnapshots::new(db.clone())),
        vault,
        shred: Box::new(move |subject| {
            let vault = Arc::clone(&shredding);
            Box::pin(async move {
                vault.shred(subject, &Metadata::new(None)).await.unwrap();
            })
        }),
        elsewhere: Box::new(move || {
            let (db, master) = elsewhere.clone();
            SqlVault::new(db, master)
        }),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vault_on_sqlite_conforms() {
    personal::run(async || {
        let db = sqlite(&DatabaseSettings::default()).await;
        migrate(&db, &[], Mode::Auto).await.unwrap();
        house(&db, &SealingKey::generate()).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vault_on_postgres_conforms() {
    let Some(url) = postgres_url() else { return };
    personal::run(async || {
        // Another schema of the same database: a server takes long to copy a whole one.
        let schema = format!("m{}", id::new_v7().simple());
        let settings = DatabaseSettings::default();
        let db = Db::open(&url, &schema, &settings).await.unwrap();
        migrate(&db, &[], Mode::Auto).await.unwrap();
        house(&db, &SealingKey::generate()).await
    })
    .await;
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
    let house = house(&db, &master).await;
    house.some_customer().await;
    let key = sealed_key(&db).await;
    // The search can find something: the key stands in a file now.
    assert!(!holding(folder.path(), &key).is_empty());
    assert_eq!(holding(folder.path(), NAME.as_bytes()), [] as [PathBuf; 0]);
    assert!(!contains(&exported(&db).await, NAME.as_bytes()));
    (house.shred)(SUBJECT).await;
    db.close().await;
    drop((db, house));
    assert_eq!(holding(folder.path(), &key), [] as [PathBuf; 0]);
    let db = open(&url).await;
    let house = self::house(&db, &master).await;
    let state = house.customers().load("1").await.unwrap().state;
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
    let house = house(&db, &SealingKey::generate()).await;
    house.some_customer().await;
    db.exec("checkpoint", params![]).await.unwrap();
    let folder = server.socket_folder().unwrap();
    assert!(!holding(folder, SUBJECT.as_bytes()).is_empty());
    assert_eq!(holding(folder, NAME.as_bytes()), [] as [PathBuf; 0]);
    assert!(!contains(&exported(&db).await, NAME.as_bytes()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shredding_leaves_a_proof_and_tells_who_follows_the_log() {
    for db in migrated().await {
        let master = SealingKey::generate();
        house(&db, &master).await.some_customer().await;
        let vault = SqlVault::new(db.clone(), master);
        let metadata = Metadata::new(Some("operator".into()));
        let first = vault.shred(SUBJECT, &metadata).await.unwrap();
        assert_eq!(first.snapshots, 1);
        let again = vault.shred(SUBJECT, &metadata).await.unwrap();
        assert_eq!(again.snapshots, 0);
        let log = SqlLog::open(db.clone()).await.unwrap();
        let told = log
            .read(Position::START, &Filter::category(SUBJECT_CATEGORY), 10)
            .await
            .unwrap();
        let shredded = SubjectEvent::SubjectShredded {
            subject: SUBJECT.into(),
        };
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].decode::<SubjectEvent>().unwrap(), shredded);
        assert_eq!(told[0].metadata.principal.as_deref(), Some("operator"));
        for proof in [first, again] {
            assert_eq!(proof.subject, SUBJECT);
            assert_eq!((proof.log, proof.event), (log.id(), told[0].id));
            assert_eq!(proof.position, told[0].position);
            assert!(proof.at.duration_since(told[0].at).abs().as_secs() < 60);
        }
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
