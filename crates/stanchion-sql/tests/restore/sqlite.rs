//! A copy of a file that is being written.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use stanchion_eventsourcing::Expected;
use stanchion_runtime::task;
use stanchion_sql::{DatabaseSettings, DatabaseUrl, Db, Projector, rusqlite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Counted, PART, assert_goes_on, assert_sound, book, booked, ids, open, runbook};

/// The runbook's statement, as its script gives it to `sqlite3`.
pub(crate) fn vacuum_into(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    let readonly = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let file = from.join("accounts.db");
    let db = rusqlite::Connection::open_with_flags(file, readonly).unwrap();
    let copy = to.join("accounts.db").display().to_string();
    db.execute("vacuum into ?1", [copy]).unwrap();
}

fn script(from: &Path, to: &Path) {
    let mut script = Command::new("sh");
    script.arg(runbook("sqlite/backup.sh")).args([from, to]);
    let done = script.output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

/// Ways to copy a folder of SQLite files: the statement, and the script where the machine has `sqlite3`.
fn ways() -> Vec<fn(&Path, &Path)> {
    let mut ways: Vec<fn(&Path, &Path)> = vec![vacuum_into];
    if Command::new("sqlite3").arg("--version").output().is_ok() {
        ways.push(script);
    }
    ways
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_is_copied_while_it_is_written_and_the_copy_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live");
    let (db, log) = open(&DatabaseUrl::sqlite(&live)).await;
    book(&log, PART).await;
    let projector = Projector::new(db.clone(), Arc::clone(&log), Counted);
    let stop = CancellationToken::new();
    let running = task::spawn("projector", projector.run(stop.clone()));
    let writing = task::spawn("writer", {
        let (log, stop) = (Arc::clone(&log), stop.clone());
        async move {
            while !stop.is_cancelled() {
                log.append(booked(0, 1, Expected::Any)).await.unwrap();
            }
        }
    });
    let mut copies = Vec::new();
    for (number, copy) in ways().into_iter().enumerate() {
        let (from, to) = (live.clone(), folder.path().join(format!("copy-{number}")));
        let place = to.clone();
        let before = log.head().await.unwrap();
        let began = Instant::now();
        let copying = task::blocking("copy", move || copy(&from, &to));
        copying.await.unwrap();
        let after = log.head().await.unwrap();
        assert!(after > before, "the writer stood still");
        println!("{after} events: copied in {:?}", began.elapsed());
        copies.push((place, before, after));
    }
    stop.cancel();
    writing.await.unwrap();
    running.await.unwrap();

    let all = ids(&log).await;
    for (place, before, after) in copies {
        let began = Instant::now();
        let url = DatabaseUrl::sqlite(&place);
        // As `log verify` does: the backup stays as it is.
        let settings = DatabaseSettings::default();
        let backup = Db::open_read_only(&url, "accounts", &settings);
        assert_sound(&backup.await.unwrap()).await;
        println!("verified in {:?}", began.elapsed());
        let (copy, log) = open(&url).await;
        let head = log.head().await.unwrap();
        assert!(before <= head && head <= after, "{before} {head} {after}");
        assert_eq!(ids(&log).await, all[..head.0 as usize]);
        assert_goes_on(&copy, &log).await;
    }
}
