//! A request through a tower service that answers at once, behind the layer of each policy.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use stanchion_resilience::breaker::{Breaker, BreakerSettings};
use stanchion_resilience::bulkhead::{Bulkhead, BulkheadSettings};
use stanchion_resilience::policy::{EveryError, Policy, PolicySettings};
use stanchion_resilience::retry::{Retry, RetryRule, RetrySettings, Retryable, Terms};
use stanchion_resilience::timeout::Timeout;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_resilience_bulkhead::BulkheadLayer;
use tower_resilience_circuitbreaker::CircuitBreakerLayer;
use tower_resilience_retry::RetryLayer;

use super::{case, on};
use crate::measure::{Case, Work};

pub fn cases() -> Vec<Case> {
    // Boxed, or the compiler would see through it and find nothing to do.
    let boxed = served(BoxCloneSyncService::new(bare()));
    let pairs = [
        ("breaker as a tower layer", breaker(), breaker_peer()),
        ("bulkhead as a tower layer", bulkhead(), bulkhead_peer()),
        ("retry as a tower layer, no failure", retry(), retry_peer()),
    ];
    let policy = policy();
    let mut cases = Vec::new();
    for threads in [1, 2] {
        let name = |what: &str, peer: &str| format!("{what}, {}, beside {peer}", on(threads));
        for (what, ours, peer) in &pairs {
            cases.push(case(name(what, "tower-resilience"), threads, ours, peer));
        }
        cases.push(case(
            name("timeout as a tower layer", "a boxed service"),
            threads,
            &timeout(),
            &boxed,
        ));
        cases.push(case(
            name("full policy as a function", "a boxed service"),
            threads,
            &policy,
            &boxed,
        ));
    }
    cases
}

type Answer = Result<u32, Infallible>;

fn bare()
-> impl Service<u32, Response = u32, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
    service_fn(|request: u32| async move { Answer::Ok(black_box(request)) })
}

/// Each thread has a runtime and a clone of `service`, and waits for each answer.
fn served<S>(service: S) -> Work
where
    S: Service<u32> + Clone + Send + Sync + 'static,
    S::Error: std::fmt::Debug,
{
    Arc::new(move |calls| {
        let mut service = service.clone();
        runtime().block_on(async {
            for call in 0..calls {
                let ready = service.ready().await.expect("it gets ready");
                let _ = black_box(ready.call(call).await.expect("it answers"));
            }
        });
    })
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().expect("a runtime is made")
}

fn breaker() -> Work {
    served(
        Breaker::new("bench", &BreakerSettings::default())
            .layer()
            .layer(bare()),
    )
}

fn breaker_peer() -> Work {
    let layer = CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(50)
        .minimum_number_of_calls(20)
        .slow_call_duration_threshold(Duration::from_millis(250))
        .slow_call_rate_threshold(0.5);
    served(layer.build().expect("it is complete").layer(bare()))
}

fn bulkhead() -> Work {
    served(
        Bulkhead::new(&BulkheadSettings::default())
            .layer()
            .layer(bare()),
    )
}

fn bulkhead_peer() -> Work {
    let layer = BulkheadLayer::builder().max_concurrent_calls(25);
    served(layer.build().expect("it is complete").layer(bare()))
}

struct Reads;

impl RetryRule<u32, Infallible> for Reads {
    fn terms(&self, _: &u32) -> Terms {
        Terms::read()
    }

    fn retryable(&self, _: &Infallible) -> Retryable {
        Retryable::unknown()
    }
}

fn retry() -> Work {
    served(
        Retry::new(&RetrySettings::default())
            .layer(Reads)
            .layer(bare()),
    )
}

fn retry_peer() -> Work {
    let layer = RetryLayer::<u32, u32, Infallible>::builder()
        .max_attempts(3)
        .exponential_backoff(Duration::from_millis(50))
        .build();
    served(BoxCloneSyncService::new(layer.layer(bare())))
}

fn timeout() -> Work {
    served(Timeout::new(Duration::from_secs(5)).layer().layer(bare()))
}

/// Deadline, retry with budget, hedge, breaker, bulkhead, timeout and metrics: the defaults.
fn policy() -> Work {
    let policy = Policy::new("bench", &PolicySettings::default());
    Arc::new(move |calls| {
        runtime().block_on(async {
            for call in 0..calls {
                let answer = policy.call(Terms::read(), &EveryError, |_| async move {
                    Answer::Ok(black_box(call))
                });
                let _ = black_box(answer.await.expect("it answers"));
            }
        });
    })
}
