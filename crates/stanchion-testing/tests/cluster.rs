//! A server that is crashed and started again, against the machine's own binaries.
#![allow(clippy::unwrap_used, reason = "a test may die")]

use std::path::Path;

use stanchion_testing::servers::{self, Cluster};

#[test]
fn what_was_committed_survives_a_crash_and_the_folder_stays() {
    if servers::required("postgres").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::create(&enterable(folder.path(), "one"), &[]).unwrap();
    cluster.start().unwrap();
    cluster
        .sql("postgres", "create table kept (n int)")
        .unwrap();
    cluster
        .sql("postgres", "insert into kept values (7)")
        .unwrap();
    cluster.crash().unwrap();
    assert!(cluster.sql("postgres", "select 1").is_err());
    cluster.start().unwrap();
    assert_eq!(cluster.sql("postgres", "select n from kept").unwrap(), "7");
    assert!(cluster.processes().unwrap().len() > 1);
    cluster.stop().unwrap();
    drop(cluster);
    assert!(folder.path().join("one/data/PG_VERSION").exists());
}

#[test]
fn a_replica_has_what_its_primary_had_and_can_take_over() {
    if servers::required("postgres").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut primary = Cluster::create(&enterable(folder.path(), "primary"), &[]).unwrap();
    primary.start().unwrap();
    primary
        .sql("postgres", "create table kept as select 7 as n")
        .unwrap();
    let place = enterable(folder.path(), "replica");
    let mut replica = Cluster::replica_of(&primary, &place, &[]).unwrap();
    replica.start().unwrap();
    assert_eq!(replica.sql("postgres", "select n from kept").unwrap(), "7");
    assert!(
        replica.sql("postgres", "delete from kept").is_err(),
        "it only reads"
    );
    primary.crash().unwrap();
    replica.promote().unwrap();
    replica.sql("postgres", "delete from kept").unwrap();
}

/// The server's account must get there.
fn enterable(folder: &Path, name: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    let place = folder.join(name);
    std::fs::create_dir(&place).unwrap();
    place
}
