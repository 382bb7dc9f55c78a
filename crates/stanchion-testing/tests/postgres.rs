//! The throwaway server, against the machine's own binaries.
#![allow(clippy::unwrap_used, reason = "a test may die")]

use std::{path::PathBuf, process::Command};

use stanchion_testing::servers::{self, Postgres};

#[test]
fn a_fresh_database_is_empty_and_durable() {
    let Some(url) = servers::required("postgres") else {
        return;
    };
    let answer = psql(
        &url,
        "select current_setting('fsync'), (select count(*) from pg_tables where schemaname = 'public')",
    );
    assert_eq!(answer, "on|0");
}

#[test]
fn two_databases_of_one_server_do_not_see_each_other() {
    let Some(one) = servers::required("postgres") else {
        return;
    };
    let Some(other) = servers::required("postgres") else {
        return;
    };
    psql(&one, "create table only_here ()");
    assert_eq!(psql(&other, "select to_regclass('only_here') is null"), "t");
}

#[test]
fn a_dropped_server_leaves_neither_process_nor_files() {
    if servers::required("postgres").is_none() {
        return;
    }
    let server = Postgres::options().fast().start().unwrap();
    assert_eq!(psql(server.url(), "select current_setting('fsync')"), "off");
    let (folder, url) = (
        PathBuf::from(server.socket_folder().unwrap()),
        server.url().to_owned(),
    );
    drop(server);
    assert!(!folder.exists());
    assert!(
        !Command::new("psql")
            .args(["-d", &url, "-c", "select 1"])
            .output()
            .unwrap()
            .status
            .success()
    );
}

#[test]
fn a_panic_takes_its_server_along() {
    if servers::required("postgres").is_none() {
        return;
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    let outcome = std::panic::catch_unwind(move || {
        let server = Postgres::options().fast().start().unwrap();
        sender
            .send(PathBuf::from(server.socket_folder().unwrap()))
            .unwrap();
        panic!("on purpose");
    });
    assert!(outcome.is_err());
    assert!(!receiver.recv().unwrap().exists());
}

fn psql(url: &str, sql: &str) -> String {
    let output = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-d", url, "-c", sql])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
