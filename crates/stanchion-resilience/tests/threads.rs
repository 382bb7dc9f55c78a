//! On real threads: what loom and shuttle prove of the cores holds for the async functions around them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use stanchion_resilience::Dice;
use stanchion_resilience::bulkhead::{Bulkhead, BulkheadSettings};
use stanchion_resilience::codel::{CodelGate, CodelGateSettings};
use stanchion_resilience::pool::{JobFailed, Pool, PoolSettings, SubmitError};
use stanchion_runtime::task;
use tokio::time::{sleep, timeout};

const CALLS: u32 = 4_000;

/// Counts who is inside, and the most there ever were.
#[derive(Default)]
struct Inside {
    now: AtomicU32,
    most: AtomicU32,
}

impl Inside {
    fn enter(self: &Arc<Self>) -> Out {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Out(self.clone())
    }
}

struct Out(Arc<Inside>);

impl Drop for Out {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Many calls that take and give up after random microseconds, on four threads; how many were at it at a time.
async fn hurt<F, Fut>(call: F) -> u32
where
    F: Fn(Box<dyn Future<Output = Result<(), ()>> + Send + Unpin>) -> Fut + Clone + Send + 'static,
    Fut: Future + Send,
{
    let (inside, dice) = (Arc::new(Inside::default()), Dice::seeded(1));
    let calls = (0..CALLS).map(|_| {
        let (inside, call) = (inside.clone(), call.clone());
        let (begin, take, patience) = (
            dice.number() % 200,
            dice.number() % 300,
            dice.number() % 600,
        );
        task::spawn("call", async move {
            sleep(Duration::from_millis(begin)).await;
            let work = Box::pin(async move {
                let _out = inside.enter();
                tokio::task::yield_now().await;
                sleep(Duration::from_micros(take)).await;
                Ok(())
            });
            let _ = timeout(Duration::from_micros(patience), call(Box::new(work))).await;
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("the call did not panic");
    }
    assert_eq!(inside.now.load(Ordering::SeqCst), 0);
    inside.most.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bulkhead_lets_in_no_more_than_its_slots_and_has_all_back() {
    let bulkhead = Bulkhead::new(&BulkheadSettings {
        slots: 3,
        queue: 20,
        ..BulkheadSettings::default()
    });
    let inner = bulkhead.clone();
    let most = hurt(move |work| {
        let bulkhead = inner.clone();
        async move { bulkhead.call(work).await }
    });
    assert_eq!(most.await, 3);
    assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0));
    let all: Vec<_> = (0..3).map(|_| bulkhead.try_enter().unwrap()).collect();
    assert!(bulkhead.try_enter().is_err());
    drop(all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_codel_gate_lets_in_no_more_than_its_slots_and_has_all_back() {
    let gate = CodelGate::new(&CodelGateSettings {
        slots: 4,
        ..CodelGateSettings::default()
    });
    let inner = gate.clone();
    let most = hurt(move |work| {
        let gate = inner.clone();
        async move { gate.call(work).await }
    });
    assert!(most.await <= 4);
    assert_eq!((gate.running(), gate.waiting()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_job_of_a_pool_runs_once_or_is_refused_or_cancelled_whenever_it_is_stopped() {
    for round in 0..20 {
        let pool = Pool::new(
            "pool",
            &PoolSettings {
                workers: 3,
                queue: 8,
                ..PoolSettings::default()
            },
        );
        let ran: Arc<[AtomicU32; 400]> = Arc::new(std::array::from_fn(|_| AtomicU32::new(0)));
        let submitters = (0..4_usize).map(|submitter| {
            let (pool, ran) = (pool.clone(), ran.clone());
            task::spawn("submitter", async move {
                let mut taken = Vec::new();
                for number in (submitter * 100)..(submitter * 100 + 100) {
                    let ran = ran.clone();
                    let job = async move { ran[number].fetch_add(1, Ordering::SeqCst) };
                    match pool.submit(job).await {
                        Ok(job) => taken.push((number, job)),
                        Err(SubmitError::Closed(_)) => return taken,
                        Err(SubmitError::Full(_)) => panic!("it waits for room"),
                    }
                }
                taken
            })
        });
        let submitters: Vec<_> = submitters.collect();
        sleep(Duration::from_micros(round * 100)).await;
        if round % 2 == 0 {
            pool.shutdown().await;
        } else {
            pool.shutdown_now().await;
        }
        for submitter in submitters {
            for (number, job) in submitter.await.unwrap() {
                let times = match job.await {
                    Ok(_) => 1,
                    Err(JobFailed::Cancelled) if round % 2 == 1 => {
                        ran[number].load(Ordering::SeqCst).min(1)
                    }
                    Err(failed) => panic!("round {round}: {failed}"),
                };
                assert_eq!(ran[number].load(Ordering::SeqCst), times, "round {round}");
            }
        }
        assert_eq!((pool.running(), pool.waiting()), (0, 0));
    }
}
