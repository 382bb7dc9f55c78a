//! A base backup and the archived write-ahead log: back to a point in time.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use stanchion_eventsourcing::{CheckpointError, EventLog, Position, ProjectionState};
use stanchion_sql::{DatabaseUrl, Db, Projector, ProjectorError};
use stanchion_testing::servers::{self, Cluster};
use tokio::time::Instant;

use crate::{APPEND, Counted, PART, assert_goes_on, assert_sound, book, ids, open, runbook};

/// Longer than any segment takes to be archived.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that the server's account may enter, with the scripts in it.
fn stage() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    for script in ["archive.sh", "backup.sh", "restore.sh"] {
        let from = runbook(&format!("postgres/{script}"));
        fs::copy(from, folder.path().join(script)).unwrap();
    }
    for place in ["first", "second", "wal"] {
        let place = folder.path().join(place);
        fs::create_dir(&place).unwrap();
        fs::set_permissions(&place, PermissionsExt::from_mode(0o777)).unwrap();
    }
    folder
}

/// Until what was written so far is in the archive.
async fn archived(cluster: &Cluster) {
    let segment = "select pg_walfile_name(pg_switch_wal())";
    let segment = cluster.sql("postgres", segment).unwrap();
    let asked = "select coalesce(max(last_archived_wal), '') from pg_stat_archiver";
    let done = tokio::time::timeout(PATIENCE, async {
        while cluster.sql("postgres", asked).unwrap() < segment {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(done.await.is_ok(), "not archived: {}", cluster.log_tail());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_goes_back_to_a_point_and_whoever_is_ahead_of_it_halts() {
    if servers::required("postgres").is_none() {
        return;
    }
    let stage = stage();
    let place = |name: &str| stage.path().join(name);
    let text = |name: &str| place(name).display().to_string();
    let archive = format!(
        "archive_command=sh {} %p {}/%f",
        text("archive.sh"),
        text("wal")
    );
    let mut cluster = Cluster::create(&place("first"), &["archive_mode=on", &archive]).unwrap();
    cluster.start().unwrap();
    let (db, log) = open(&cluster.url("postgres").parse().unwrap()).await;
    // Rows beside the log, and rows of the same log in another database that will not be restored.
    let (other, _) = open(&DatabaseUrl::sqlite(place("other"))).await;
    let beside = Projector::new(db.clone(), Arc::clone(&log), Counted);
    let elsewhere = Projector::new(other.clone(), Arc::clone(&log), Counted);

    book(&log, PART).await;
    let began = Instant::now();
    let arguments = [&cluster.url("postgres"), &text("base")];
    cluster
        .script(&place("backup.sh"), &arguments.map(String::as_str))
        .unwrap();
    let backed_up = began.elapsed();
    let kept = book(&log, PART).await;
    beside.catch_up().await.unwrap();
    let before = ids(&log).await;
    let point = "select pg_create_restore_point('before_the_mistake')";
    cluster.sql("postgres", point).unwrap();
    let lost = book(&log, PART).await;
    beside.catch_up().await.unwrap();
    elsewhere.catch_up().await.unwrap();
    archived(&cluster).await;
    db.close().await;
    drop((db, log, beside, elsewhere));
    cluster.crash().unwrap();

    let began = Instant::now();
    let mut restored = Cluster::at(&place("second"), &[]).unwrap();
    let target = "recovery_target_name = 'before_the_mistake'".to_owned();
    let arguments = [&text("base"), &text("wal"), &target, &text("second/data")];
    restored
        .script(&place("restore.sh"), &arguments.map(String::as_str))
        .unwrap();
    restored.start().unwrap();
    let (db, log) = open(&restored.url("postgres").parse().unwrap()).await;
    let opened = began.elapsed();
    let began = Instant::now();
    assert_sound(&db).await;
    let verified = began.elapsed();
    println!(
        "{kept} of {lost} events: backed up in {backed_up:?}, restored in {opened:?}, verified in {verified:?}"
    );
    assert_eq!(log.head().await.unwrap(), kept);
    assert_eq!(ids(&log).await, before);
    let beside = Projector::new(db.clone(), Arc::clone(&log), Counted);
    let status = beside.status().await.unwrap();
    assert_eq!((status.position, status.reason), (kept, None));
    assert_goes_on(&db, &log).await;
    halts_until_rebuilt(&other, &log, lost).await;
}

/// What was made of the lost part is not there any more: nothing is started over by itself.
async fn halts_until_rebuilt(other: &Db, log: &Arc<dyn EventLog>, lost: Position) {
    let elsewhere = Projector::new(other.clone(), Arc::clone(log), Counted);
    for grown_again in [false, true] {
        if grown_again {
            while book(log, APPEND).await <= lost {}
        }
        let halted = elsewhere.catch_up().await.unwrap_err();
        let noticed = match &halted {
            ProjectorError::Checkpoint(CheckpointError::WentBack { position, .. }) => {
                !grown_again && *position == lost
            }
            ProjectorError::Checkpoint(CheckpointError::OtherEvent { position, .. }) => {
                grown_again && *position == lost
            }
            _ => false,
        };
        assert!(noticed, "{halted}");
        let status = elsewhere.status().await.unwrap();
        assert_eq!(status.state, ProjectionState::Halted);
    }
    let rebuilt = elsewhere.rebuild().await.unwrap();
    assert_eq!(rebuilt, log.head().await.unwrap());
    assert!(elsewhere.verify().await.unwrap().holds());
}
