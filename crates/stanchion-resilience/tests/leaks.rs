//! Whatever a policy wraps: under random cancellation no call runs on, no place stays taken, and no token is lost
//! for good. One schedule of calls for all of them; each test says what of its own must be back at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use proptest::prelude::*;
use stanchion_resilience::adaptive::{Adaptive, AdaptiveSettings};
use stanchion_resilience::breaker::{Breaker, BreakerSettings, State, Verdict};
use stanchion_resilience::budget::{Budget, BudgetSettings};
use stanchion_resilience::bulkhead::{Bulkhead, BulkheadSettings};
use stanchion_resilience::codel::{CodelGate, CodelGateSettings};
use stanchion_resilience::deadline::Deadline;
use stanchion_resilience::hedge::{Hedge, HedgeSettings};
use stanchion_resilience::outlier::{OutlierSettings, Outliers};
use stanchion_resilience::policy::{EveryError, Policy, PolicySettings};
use stanchion_resilience::pool::{Pool, PoolSettings};
use stanchion_resilience::rate::{KeyedRate, Rate, RateSettings};
use stanchion_resilience::retry::{Retry, RetrySettings, Retryable, Terms};
use stanchion_resilience::single_flight::SingleFlight;
use stanchion_resilience::throttle::{Throttle, ThrottleSettings};
use stanchion_resilience::timeout::Timeout;
use stanchion_resilience::{Dice, Moment};
use stanchion_telemetry::Metrics;
use tokio::time::{sleep, timeout};

const MS: Duration = Duration::from_millis(1);

/// A call: when it begins, what its work takes, how long its caller waits, and whether it fails. In milliseconds.
type Call = (u32, u32, u32, bool);
type Work = BoxFuture<'static, Result<(), &'static str>>;

fn calls() -> impl Strategy<Value = Vec<Call>> {
    proptest::collection::vec(
        (0..1_500_u32, 0..200_u32, 0..300_u32, any::<bool>()),
        1..100,
    )
}

fn in_paused_time(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime is made").block_on(work);
}

/// Counts what runs, however it ends.
#[derive(Clone, Default)]
struct Inside(Arc<AtomicI64>);

impl Inside {
    fn work(&self, take: u32, fails: bool) -> Work {
        let inside = self.clone();
        Box::pin(async move {
            inside.0.fetch_add(1, Ordering::Relaxed);
            let _out = Out(inside);
            sleep(MS * take).await;
            if fails { Err("down") } else { Ok(()) }
        })
    }
}

struct Out(Inside);

impl Drop for Out {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs the calls, each of whose works `guarded` may make as often as it likes, and says that none runs on.
async fn hurt<F: Future>(
    calls: &[Call],
    guarded: impl Fn(Box<dyn Fn() -> Work + Send + Sync>) -> F,
) {
    let inside = Inside::default();
    let each = calls.iter().map(|(begin, take, patience, fails)| {
        let (inside, guarded) = (inside.clone(), &guarded);
        async move {
            sleep(MS * *begin).await;
            let (take, fails) = (*take, *fails);
            let work = Box::new(move || inside.work(take, fails));
            let _ = timeout(MS * *patience, guarded(work)).await;
        }
    });
    join_all(each).await;
    // What is shielded from its caller by intention ends by itself.
    sleep(MS * 2_000).await;
    assert_eq!(inside.0.load(Ordering::Relaxed), 0, "a call runs on");
}

fn slow() -> Timeout {
    Timeout::new(MS * 150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn timeout_and_deadline_leave_nothing(calls in calls()) {
        in_paused_time(async {
            hurt(&calls, |work| async move { slow().call(work()).await }).await;
            hurt(&calls, |work| async move {
                Deadline::after(Moment::now(), MS * 100).call(work()).await
            }).await;
        });
    }

    #[test]
    fn a_breaker_has_its_probes_back(calls in calls()) {
        in_paused_time(async {
            let settings = BreakerSettings { calls_min: 2, open: MS * 100, ..BreakerSettings::default() };
            let breaker = Breaker::new("bank", &settings);
            hurt(&calls, |work| {
                let breaker = breaker.clone();
                async move { breaker.call(work()).await }
            }).await;
            for _ in 0..settings.probes {
                breaker.acquire().expect("no probe is out").settle(Verdict::Success);
            }
            assert_eq!(breaker.state(), State::Closed);
        });
    }

    #[test]
    fn limits_have_their_places_back(calls in calls()) {
        in_paused_time(async {
            let bulkhead = Bulkhead::new(&BulkheadSettings { slots: 3, queue: 4, ..BulkheadSettings::default() });
            hurt(&calls, |work| {
                let bulkhead = bulkhead.clone();
                async move { bulkhead.call(work()).await }
            }).await;
            // Spawned work goes on without its caller, and its slot with it; then both are gone.
            hurt(&calls, |work| {
                let bulkhead = bulkhead.clone();
                async move { bulkhead.spawn("work", work()).await?.await.map_err(|_| stanchion_resilience::Refusal::Closed) }
            }).await;
            assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0));
            let gate = CodelGate::new(&CodelGateSettings { slots: 3, ..CodelGateSettings::default() });
            hurt(&calls, |work| {
                let gate = gate.clone();
                async move { gate.call(work()).await }
            }).await;
            assert_eq!((gate.running(), gate.waiting()), (0, 0));
            let limit = Adaptive::with(&AdaptiveSettings { start: 3, ..AdaptiveSettings::default() }, Dice::seeded(1), Moment::now());
            hurt(&calls, |work| {
                let limit = limit.clone();
                async move { limit.call(work()).await }
            }).await;
            assert_eq!((limit.running(), limit.waiting()), (0, 0));
        });
    }

    #[test]
    fn a_retry_has_its_budget_back_in_the_time_it_takes_to_earn_it(calls in calls()) {
        in_paused_time(async {
            let settings = RetrySettings::default();
            let retry = Retry::with(&settings, Budget::new(&settings.budget), Dice::seeded(1));
            hurt(&calls, |work| {
                let retry = retry.clone();
                async move { retry.call(Terms::repeatable(), |_| Retryable::unknown(), |_| work()).await }
            }).await;
            assert!(retry.budget().left(Moment::now()) <= 10.0);
            sleep(Duration::from_secs(10)).await;
            assert_eq!(retry.budget().left(Moment::now()), 10.0);
        });
    }

    #[test]
    fn a_hedge_cancels_what_it_began(calls in calls()) {
        in_paused_time(async {
            let budget = Budget::new(&BudgetSettings::default());
            let hedge = Hedge::new(&HedgeSettings::default()).paid_by(budget);
            (0..100).for_each(|_| { hedge.learn(MS * 20); hedge.begun(Moment::now()); });
            hurt(&calls, |work| {
                let hedge = hedge.clone();
                async move { hedge.call(|_| work()).await }
            }).await;
        });
    }

    #[test]
    fn rates_throttles_and_outliers_let_everybody_in_again(calls in calls()) {
        in_paused_time(async {
            let settings = RateSettings { per_second: 20.0, burst: 5, ..RateSettings::default() };
            let (rate, keyed) = (Rate::new(&settings), KeyedRate::<String>::new(&settings));
            let throttle = Throttle::with(&ThrottleSettings::default(), Dice::seeded(1), Moment::now());
            let hosts = Outliers::new(&OutlierSettings::default());
            hosts.set_hosts([0, 1]);
            hurt(&calls, |work| {
                let (rate, keyed, throttle, hosts) = (rate.clone(), keyed.clone(), throttle.clone(), hosts.clone());
                async move {
                    let _ = rate.call(work()).await;
                    let _ = keyed.call("ann", work()).await;
                    let _ = throttle.call(work()).await;
                    let _ = hosts.call(&0, work()).await;
                }
            }).await;
            sleep(Duration::from_secs(3_600)).await;
            let now = Moment::now();
            assert_eq!(rate.left(now), 5);
            assert!((0..5).all(|_| keyed.check("ann", now, 1).is_ok()));
            assert_eq!(throttle.refused_share(now), 0.0);
            assert_eq!(hosts.ejected(now), 0);
        });
    }

    #[test]
    fn a_pool_and_a_flight_end_what_they_began(calls in calls()) {
        in_paused_time(async {
            let pool = Pool::new("pool", &PoolSettings { workers: 3, queue: 4, job_timeout: MS * 150 });
            hurt(&calls, |work| {
                let pool = pool.clone();
                async move { pool.call(work()).await }
            }).await;
            assert_eq!((pool.running(), pool.waiting()), (0, 0));
            pool.shutdown().await;
            let flights = SingleFlight::<u8, (), &'static str>::default();
            hurt(&calls, |work| {
                let flights = flights.clone();
                async move { flights.call(1, work).await }
            }).await;
            assert!(flights.is_empty());
        });
    }

    #[test]
    fn a_policy_with_all_its_parts_has_everything_back(calls in calls()) {
        in_paused_time(async {
            let mut settings = PolicySettings {
                timeout: MS * 150,
                adaptive_on: true,
                throttle_on: true,
                rate_on: true,
                ..PolicySettings::default()
            };
            (settings.bulkhead.slots, settings.bulkhead.queue) = (3, 4);
            (settings.breaker.calls_min, settings.breaker.open) = (5, MS * 200);
            let policy = Policy::with("bank", &settings, &Metrics::default(), &Dice::seeded(1));
            (0..50).for_each(|_| policy.hedge().expect("it is on").learn(MS * 20));
            hurt(&calls, |work| {
                let policy = policy.clone();
                async move { policy.call(Terms::read(), &EveryError, |_| work()).await }
            }).await;
            let (bulkhead, adaptive) = (policy.bulkhead().expect("it is on"), policy.adaptive().expect("it is on"));
            assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0));
            assert_eq!((adaptive.running(), adaptive.waiting()), (0, 0));
            sleep(Duration::from_secs(10)).await;
            assert_eq!(policy.rate().expect("it is on").left(Moment::now()), 100);
            assert_eq!(policy.retry().expect("it is on").budget().left(Moment::now()), 10.0);
            let breaker = policy.breaker().expect("it is on");
            for _ in 0..settings.breaker.probes {
                breaker.acquire().expect("no probe is out").settle(Verdict::Success);
            }
            assert_eq!(breaker.state(), State::Closed);
        });
    }
}
