//! Recurring jobs: in one process at a time, each time once.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_messaging::HandlerError;
use stanchion_runtime::task;
use stanchion_sql::{Job, Occurrence};
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
