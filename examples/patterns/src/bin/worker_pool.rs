//! Worker pool: jobs that must end though nobody waits, on a bounded number of workers.
//!
//! The usual defects: a queue without a bound, so that overload becomes an outage of memory; submit blocks after the
//! shutdown, for ever; a panicking job takes its worker along; and a shutdown either loses jobs or never ends. Here
//! a full queue and a closed pool are two answers, a panic is the job's result, and a shutdown is graceful, or
//! immediate, or first the one and then the other.

use std::time::Duration;

use stanchion::resilience::pool::{JobFailed, Pool, PoolSettings, SubmitError};
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let settings = PoolSettings {
        workers: 2,
        queue: 3,
        job_timeout: Duration::from_millis(50),
    };
    let pool = Pool::new("thumbnails", &settings);

    let mut jobs = Vec::new();
    let refused = loop {
        match pool.try_submit(thumbnail(10)) {
            Ok(job) => jobs.push(job),
            Err(refused) => break refused,
        }
    };
    println!("{} taken, then {refused:?}", jobs.len());
    assert!(matches!(refused, SubmitError::Full(_)));
    for job in jobs {
        assert_eq!(job.await, Ok(10));
    }

    let panicking = pool.try_submit(async { panic!("not an image") });
    let failed: Result<(), _> = panicking.expect("there is room").await;
    println!("a panic is a result: {failed:?}");
    assert_eq!(failed, Err(JobFailed::Panicked("not an image".to_owned())));

    let endless = pool.submit(thumbnail(60_000)).await.expect("it is open");
    assert_eq!(
        endless.await,
        Err(JobFailed::TimedOut(settings.job_timeout))
    );

    let last: Vec<_> = (1..=3)
        .map(|millis| pool.try_submit(thumbnail(millis)).expect("there is room"))
        .collect();
    pool.shutdown().await;
    for (job, millis) in last.into_iter().zip(1..) {
        assert_eq!(
            job.await,
            Ok(millis),
            "a graceful shutdown runs what it has"
        );
    }
    let closed = pool.try_submit(thumbnail(1)).map(drop);
    println!("after the shutdown: {closed:?}");
    assert!(matches!(closed, Err(SubmitError::Closed(_))));
}

async fn thumbnail(millis: u64) -> u64 {
    sleep(Duration::from_millis(millis)).await;
    millis
}
