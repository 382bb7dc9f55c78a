//! Recurring jobs: in one process at a time, each time once.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use stanchion_messaging::HandlerError;
use stanchion_runtime::{clock, task};
use stanchion_sql::{Db, Job, Leases, Occurrence, params};
use stanchion_telemetry::Metrics;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_processes_one_does_each_time_once_and_a_failed_one_again() {
    for db in support::migrated().await {
        let done: Arc<Mutex<Vec<Occurrence>>> = Arc::default();
        let tried: Arc<Mutex<Vec<Occurrence>>> = Arc::default();
        let stop = CancellationToken::new();
        let processes: Vec<_> = (0..3)
            .map(|_| {
                let (done, tried) = (Arc::clone(&done), Arc::clone(&tried));
                let job = Job::new("tidy", "every 1s".parse().unwrap(), db.clone());
                let work = move |occurrence: Occurrence| {
                    let first = tried.lock().is_empty();
                    tried.lock().push(occurrence);
                    let done = Arc::clone(&done);
                    async move {
                        if first {
                            return Err(HandlerError::Failed("out of luck".into()));
                        }
                        done.lock().push(occurrence);
                        Ok(())
                    }
                };
                task::spawn("job", job.run(work, stop.clone()))
            })
            .collect();
        tokio::time::timeout(Duration::from_secs(30), async {
            while done.lock().len() < 4 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
        stop.cancel();
        for process in processes {
            process.await.unwrap();
        }
        let (done, tried) = (done.lock().clone(), tried.lock().clone());
        assert_eq!(
            tried[0], tried[1],
            "the failed one is tried again, with its id"
        );
        assert!(
            done.windows(2).all(|it| it[0].due_at < it[1].due_at),
            "{done:?}"
        );
        assert_eq!(tried.len(), done.len() + 1);
    }
}

#[tokio::test]
async fn a_panic_is_an_attempt_that_failed_and_takes_nobody_along() {
    for db in support::migrated().await {
        let metrics = Metrics::default();
        let (told, mut done) = tokio::sync::mpsc::unbounded_channel();
        let attempts = Mutex::new(0);
        let work = move |occurrence: Occurrence| {
            let nth = {
                let mut attempts = attempts.lock();
                *attempts += 1;
                *attempts
            };
            // Before there is anything to wait for, and within it.
            assert!(nth != 1, "a slip");
            let told = told.clone();
            async move {
                assert!(nth != 2, "another slip");
                let _first_only = told.send(occurrence);
                Ok(())
            }
        };
        let stop = CancellationToken::new();
        let job = Job::new("careless", "every 1s".parse().unwrap(), db.clone()).metrics(&metrics);
        let running = task::spawn("job", job.run(work, stop.clone()));
        let first = tokio::time::timeout(Duration::from_secs(30), done.recv()).await;
        let first = first.expect("it is never done").expect("its worker ended");
        let text = metrics.encode();
        let failed = r#"stanchion_job_attempts_total{job="careless",outcome="failed"} 2"#;
        assert!(text.contains(failed), "{text}");
        // The next time is done for a later one.
        let second = tokio::time::timeout(Duration::from_secs(30), done.recv()).await;
        assert!(second.unwrap().unwrap().due_at > first.due_at);
        let shown = r#"stanchion_job_done_timestamp_seconds{job="careless"} "#;
        let text = metrics.encode();
        let (_, at) = text.split_once(shown).expect("it is shown");
        let at: i64 = at.lines().next().unwrap().parse().unwrap();
        assert!(at >= first.due_at.as_second(), "{at}");
        stop.cancel();
        running.await.unwrap();
        let nobody = format!("{shown}0\n");
        assert!(metrics.encode().contains(&nobody), "{}", metrics.encode());
    }
}

/// The first time that a job is done, of one that was done for that time before.
async fn first_after(db: &Db, done_for: Timestamp) -> Occurrence {
    let sql = "insert into job (name, token, done_for) values ($1, 0, $2)";
    db.exec(sql, params!["late", done_for]).await.unwrap();
    let (told, mut first) = tokio::sync::mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let job = Job::new("late", "every 1s".parse().unwrap(), db.clone());
    let work = move |occurrence: Occurrence| {
        let _first_only = told.send(occurrence);
        std::future::ready(Ok(()))
    };
    let running = task::spawn("job", job.run(work, stop.clone()));
    let first = tokio::time::timeout(Duration::from_secs(30), first.recv()).await;
    stop.cancel();
    running.await.unwrap();
    first.expect("it is never done again").unwrap()
}

#[tokio::test]
async fn a_job_that_was_done_by_a_clock_far_ahead_goes_on_once_the_clock_is_right() {
    for db in support::migrated().await {
        let year = SignedDuration::from_hours(365 * 24);
        let occurrence = first_after(&db, clock::now() + year).await;
        assert!(occurrence.due_at <= clock::now());
    }
}

#[tokio::test]
async fn a_job_that_nobody_did_for_thirty_years_holds_nobody_up_and_is_done_once() {
    for db in support::migrated().await {
        let begun = tokio::time::Instant::now();
        let years = SignedDuration::from_hours(30 * 365 * 24);
        let occurrence = first_after(&db, clock::now() - years).await;
        assert!(occurrence.due_at >= clock::now() - SignedDuration::from_secs(20));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

/// A process that is killed in the middle of an attempt gives nothing back: only time ends its lease.
#[tokio::test]
async fn what_a_process_was_at_when_it_was_killed_is_done_by_the_next_one_and_once() {
    for db in support::migrated().await {
        // Due since the beginning of this year, and not again before the next.
        let job = || Job::new("tidy", "0 0 1 1 *".parse().unwrap(), db.clone());
        let sql = "insert into job (name, token, done_for) values ($1, 0, $2)";
        let before = clock::now() - SignedDuration::from_hours(400 * 24);
        db.exec(sql, params!["tidy", before]).await.unwrap();
        let (told, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let tell = told.clone();
        let stuck = move |occurrence: Occurrence| {
            let _told = tell.send(occurrence);
            std::future::pending::<Result<(), HandlerError>>()
        };
        let killed = task::spawn("job", job().run(stuck, CancellationToken::new()));
        let wait = Duration::from_secs(30);
        let first = tokio::time::timeout(wait, begun.recv()).await;
        let first = first.expect("it is never begun").unwrap();
        killed.abort();
        assert!(killed.await.is_err());

        let taken = Leases::new(db.clone()).take("job/tidy", wait).await;
        assert!(taken.unwrap().is_none(), "nobody gave it back");
        let ends = "update lease set expires_at = granted_at where name = 'job/tidy'";
        db.exec(ends, params![]).await.unwrap();

        let work = move |occurrence: Occurrence| {
            let _told = told.send(occurrence);
            std::future::ready(Ok(()))
        };
        let stop = CancellationToken::new();
        let running = task::spawn("job", job().run(work, stop.clone()));
        let again = tokio::time::timeout(wait, begun.recv()).await;
        let again = again.expect("nobody goes on with it").unwrap();
        assert_eq!(again, first, "the same time, with the same id");
        let done_for = async || -> Timestamp {
            let sql = "select done_for from job where name = 'tidy'";
            let rows = db.query(sql, params![]).await.unwrap();
            rows[0].get(0).unwrap()
        };
        let done = tokio::time::timeout(wait, async {
            while done_for().await != first.due_at {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        done.await.expect("that it is done is not recorded");
        stop.cancel();
        running.await.unwrap();
        assert!(begun.try_recv().is_err(), "it is done once");
    }
}
