//! Personal data and snapshots in a store: sealed wherever they are written, ended by shredding.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use stanchion_eventsourcing::{
    EventLog, Filter, KeptState, MasterKeys, Metadata, Position, SUBJECT_CATEGORY, SealingKey,
    Snapshots, StreamId, SubjectEvent, Vault, Version,
};
use stanchion_runtime::id;
use stanchion_sql::{
    DatabaseSettings, DatabaseUrl, Db, MasterKeyError, Mode, SqlLog, SqlSnapshots, SqlVault,
    export, migrate, params,
};
use stanchion_testing::conformance::personal::{self, House, NAME, SUBJECT};
use stanchion_testing::servers::Postgres;
use support::{databases, postgres_url, sqlite};

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

/// A vault of a process of its own with these keys.
fn process(db: &Db, keys: impl Into<MasterKeys>) -> Arc<SqlVault> {
    SqlVault::new(db.clone(), keys)
}

async fn keys_of(vault: &SqlVault, subjects: &[String]) -> Vec<String> {
    let keys = vault.keys_to_seal(subjects).await.unwrap();
    subjects
        .iter()
        .map(|subject| format!("{:?}", keys[subject]))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_master_key_is_told_before_anybody_is_known() {
    for db in migrated().await {
        let [right, wrong] = [(); 2].map(|()| SealingKey::generate());
        process(&db, right.clone()).check().await.unwrap();
        process(&db, right.clone()).check().await.unwrap();
        let refused = process(&db, wrong.clone()).check().await.unwrap_err();
        let MasterKeyError::Wrong { sealed_by, have } = &refused else {
            panic!("{refused}");
        };
        assert_eq!(sealed_by[..], [right.fingerprint()]);
        assert_eq!(have[..], [wrong.fingerprint()]);
        let said = refused.to_string();
        assert!(said.contains(&right.fingerprint()), "{said}");
        // The vault's own key is nobody's to shred.
        let vault = process(&db, right);
        let own = vault.shred("stanchion.vault", &Metadata::new(None)).await;
        assert!(own.is_err());
        vault.check().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_sealed_anew_in_steps_while_processes_with_both_keys_go_on() {
    for db in migrated().await {
        let [old, new] = [(); 2].map(|()| SealingKey::generate());
        let subjects: Vec<String> = (0..20).map(|n| format!("subject {n}")).collect();
        let before = process(&db, old.clone());
        before.check().await.unwrap();
        let keys = keys_of(&before, &subjects).await;
        before
            .shred(&subjects[19], &Metadata::new(None))
            .await
            .unwrap();
        let living = &subjects[..19];

        // Whoever has the new key alone may neither start nor change anything.
        let early = process(&db, new.clone());
        assert!(early.check().await.is_err());
        let refused = early.reseal(100).await.unwrap_err();
        assert!(matches!(refused, MasterKeyError::Wrong { .. }), "{refused}");

        let first = MasterKeys::from(old.clone()).and_opening(new.clone());
        let second = MasterKeys::from(new.clone()).and_opening(old.clone());
        // Cut off after some; the next process finds the rest.
        let begun = process(&db, second.clone()).reseal(7).await.unwrap();
        assert_eq!(
            (begun.resealed, &begun.left[..]),
            (7, &[old.fingerprint()][..])
        );
        for vault in [process(&db, first.clone()), process(&db, second.clone())] {
            vault.check().await.unwrap();
            assert_eq!(keys_of(&vault, living).await, keys[..19]);
        }
        // One that still seals with the old key meets somebody new meanwhile.
        let late = ["late".to_owned()];
        let late_key = keys_of(&process(&db, first), &late).await;
        let rest = process(&db, second.clone()).reseal(1_000).await.unwrap();
        // 19 and the vault's own, without the 7, and the late one.
        assert_eq!((rest.resealed, rest.left.len()), (14, 0));
        let nothing = process(&db, second).reseal(1_000).await.unwrap();
        assert_eq!((nothing.resealed, nothing.left.len()), (0, 0));

        let after = process(&db, new);
        after.check().await.unwrap();
        assert_eq!(keys_of(&after, living).await, keys[..19]);
        assert_eq!(keys_of(&after, &late).await, late_key);
        let shredded = keys_of(&after, &subjects[19..]).await;
        assert_eq!(shredded, ["Shredded"]);
        assert!(process(&db, old).check().await.is_err());
    }
}

#[tokio::test]
async fn a_snapshot_that_is_no_json_is_discarded_like_any_other_that_does_not_fit() {
    for db in migrated().await {
        let house = house(&db, &SealingKey::generate()).await;
        house.some_customer().await;
        let sql = "update snapshot set data = $1, version = $2";
        db.exec(sql, params!["no json {", 1_000_000_i64])
            .await
            .unwrap();
        let state = house.customers().load("1").await.unwrap().state;
        assert_eq!((state.orders, state.name.is_some()), (2, true));
        // The next state is kept again: what nobody can read stands in nobody's way.
        let stream = StreamId::new("customer", "1");
        while house
            .snapshots
            .load(&stream)
            .await
            .unwrap()
            .is_some_and(|kept| kept.version.0 > 9)
        {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
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
