//! Given, when, then, in paused time.

use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::time::{sleep, timeout};
use tower::{Layer, ServiceExt, service_fn};

use super::*;
use crate::Moment;

fn given(workers: u32, queue: u32) -> Pool {
    Pool::new(
        "pool",
        &PoolSettings {
            workers,
            queue,
            ..PoolSettings::default()
        },
    )
}

async fn worked(millis: u64) -> u64 {
    sleep(Duration::from_millis(millis)).await;
    millis
}

#[tokio::test(start_paused = true)]
async fn so_many_jobs_run_at_a_time_as_there_are_workers() {
    let pool = given(2, 8);
    let begun = Moment::now();
    let jobs: Vec<_> = (0..6)
        .map(|_| pool.try_submit(worked(10)).unwrap())
        .collect();
    let results = join_all(jobs).await;
    assert!(results.iter().all(|result| *result == Ok(10)));
    let took = Moment::now().since(begun).as_millis();
    assert!(
        (30..=36).contains(&took),
        "three rounds of 10 ms, and a timer's tick each: {took}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_says_full_and_gives_the_job_back() {
    let pool = given(1, 2);
    let _running = pool.try_submit(worked(10)).unwrap();
    tokio::task::yield_now().await;
    let _waiting = [
        pool.try_submit(worked(10)).unwrap(),
        pool.try_submit(worked(10)).unwrap(),
    ];
    assert_eq!((pool.running(), pool.waiting()), (1, 2));
    let Err(SubmitError::Full(job)) = pool.try_submit(worked(7)) else {
        panic!("the queue is full");
    };
    assert_eq!(
        pool.submit(job).await.unwrap().await,
        Ok(7),
        "waited for room"
    );
}

#[tokio::test(start_paused = true)]
async fn a_graceful_shutdown_runs_what_it_has_and_takes_no_more() {
    let pool = given(1, 8);
    let jobs: Vec<_> = (0..5)
        .map(|_| pool.try_submit(worked(10)).unwrap())
        .collect();
    let waiting_for_room = pool.clone();
    pool.shutdown().await;
    assert!(matches!(
        waiting_for_room.try_submit(async {}),
        Err(SubmitError::Closed(_))
    ));
    assert!(matches!(
        waiting_for_room.submit(async {}).await,
        Err(SubmitError::Closed(_))
    ));
    assert!(join_all(jobs).await.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_at_shutdown_is_told() {
    let pool = given(1, 1);
    let _jobs = [pool.try_submit(worked(10)).unwrap()];
    tokio::task::yield_now().await;
    let _next = pool.try_submit(worked(10)).unwrap();
    let (late, ()) = tokio::join!(pool.submit(worked(10)), pool.shutdown());
    assert!(matches!(late, Err(SubmitError::Closed(_))));
}

#[tokio::test(start_paused = true)]
async fn an_immediate_shutdown_cancels_everything_and_waits_for_nothing() {
    let pool = given(1, 8);
    let begun = Moment::now();
    let running = pool.try_submit(pending::<()>()).unwrap();
    let waiting = pool.try_submit(pending::<()>()).unwrap();
    tokio::task::yield_now().await;
    pool.shutdown_now().await;
    assert_eq!(running.await, Err(JobFailed::Cancelled));
    assert_eq!(waiting.await, Err(JobFailed::Cancelled));
    assert_eq!(Moment::now(), begun);
    assert_eq!((pool.running(), pool.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_graceful_shutdown_that_takes_too_long_can_be_made_an_immediate_one() {
    let pool = given(2, 8);
    let stuck = pool.try_submit(pending::<()>()).unwrap();
    assert!(
        timeout(Duration::from_millis(100), pool.shutdown())
            .await
            .is_err()
    );
    timeout(Duration::from_millis(100), pool.shutdown_now())
        .await
        .unwrap();
    assert_eq!(stuck.await, Err(JobFailed::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn a_panic_or_a_timeout_is_the_jobs_own() {
    let pool = given(1, 8);
    let panicking = pool.try_submit(async { panic!("a {}", "bug") }).unwrap();
    let endless = pool.try_submit(pending::<()>()).unwrap();
    let good = pool.try_submit(worked(1)).unwrap();
    let panicked: Result<(), _> = panicking.await;
    assert_eq!(panicked, Err(JobFailed::Panicked("a bug".to_owned())));
    assert_eq!(
        endless.await,
        Err(JobFailed::TimedOut(Duration::from_secs(30)))
    );
    assert_eq!(good.await, Ok(1), "the one worker goes on");
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_destructor_costs_no_worker() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a bug in a destructor");
        }
    }
    let pool = given(1, 8);
    let bomb = Bomb;
    let failed = pool.try_submit(async move {
        let _bomb = &bomb;
        pending::<()>().await;
    });
    assert!(failed.unwrap().await.is_err());
    assert_eq!(pool.try_submit(worked(1)).unwrap().await, Ok(1));
    assert_eq!(pool.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_function_and_the_layer_run_on_one_pool_and_say_what_happened() {
    let pool = given(1, 1);
    let service = pool.layer().layer(service_fn(|millis: u64| async move {
        match worked(millis).await {
            0 => Err("nothing to do"),
            1 => panic!("a bug"),
            done => Ok(done),
        }
    }));
    let mut running = Box::pin(service.clone().oneshot(20));
    assert!(futures_util::poll!(&mut running).is_pending());
    tokio::task::yield_now().await;
    let mut waiting = Box::pin(service.clone().oneshot(0));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let full = pool.call(async { Ok::<_, ()>(()) }).await;
    assert_eq!(full, Err(PoolError::Full));
    assert_eq!(running.await, Ok(20));
    assert_eq!(waiting.await, Err(PoolError::Remote("nothing to do")));
    let panicked = service.clone().oneshot(1).await;
    assert_eq!(
        panicked,
        Err(PoolError::Job(JobFailed::Panicked("a bug".to_owned())))
    );
    pool.shutdown().await;
    assert_eq!(service.oneshot(20).await, Err(PoolError::Closed));
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_that_goes_lets_the_jobs_end() {
    let pool = given(1, 8);
    let jobs = [
        pool.try_submit(worked(1)).unwrap(),
        pool.try_submit(worked(2)).unwrap(),
    ];
    drop(pool);
    assert_eq!(join_all(jobs).await, [Ok(1), Ok(2)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Each job that was taken runs exactly once, whoever forgets about it; none is left over.
    #[test]
    fn no_job_is_lost_or_run_twice_under_random_cancellation(
        jobs in proptest::collection::vec((0..100_u64, 0..50_u64, 0..100_u64), 1..100),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let pool = given(3, 4);
            let ran = Arc::new(AtomicU32::new(0));
            let submit = |(begin, take, patience): &(u64, u64, u64)| {
                let (pool, ran, take) = (pool.clone(), ran.clone(), *take);
                let (begin, patience) = (Duration::from_millis(*begin), Duration::from_millis(*patience));
                async move {
                    sleep(begin).await;
                    let counted = async move {
                        worked(take).await;
                        ran.fetch_add(1, Ordering::Relaxed);
                    };
                    let taken = timeout(patience, pool.submit(counted)).await;
                    u32::from(matches!(taken, Ok(Ok(_))))
                }
            };
            let taken: u32 = join_all(jobs.iter().map(submit)).await.into_iter().sum();
            pool.shutdown().await;
            assert_eq!(ran.load(Ordering::Relaxed), taken);
            assert_eq!((pool.running(), pool.waiting()), (0, 0));
        });
    }
}
