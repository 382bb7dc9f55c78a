//! One suite for the shared limit and the local one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stanchion_redis::rate::SharedRate;
use stanchion_resilience::rate::{KeyedRate, RateSettings};
use stanchion_resilience::{Moment, Refusal};
use stanchion_testing::conformance::rate::{self, BURST, Limit, PER_SECOND};
use stanchion_testing::servers::Redis;

use super::support;

struct Shared(SharedRate);
struct Local(KeyedRate<String>);

#[async_trait]
impl Limit for Shared {
    async fn check(&self, key: &str, cost: u32) -> Result<(), Duration> {
        self.0.check(key, cost).await.map_err(wait)
    }
}

#[async_trait]
impl Limit for Local {
    async fn check(&self, key: &str, cost: u32) -> Result<(), Duration> {
        self.0.check(key, Moment::now(), cost).map_err(wait)
    }
}

fn wait(refused: Refusal) -> Duration {
    refused.retry_after().expect("a rate limit says when")
}

fn limit() -> RateSettings {
    RateSettings {
        per_second: PER_SECOND,
        burst: BURST,
        ..RateSettings::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shared_limit_does_what_a_limit_must() {
    let Some(redis) = Redis::required() else {
        return;
    };
    let number = AtomicU32::new(0);
    rate::run(async || {
        let mut settings = support::settings(&redis.url(), BURST);
        settings.limit = limit();
        settings.prefix = format!("case-{}", number.fetch_add(1, Ordering::Relaxed));
        Arc::new(Shared(support::open(&settings))) as Arc<dyn Limit>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_limit_does_what_a_limit_must() {
    rate::run(async || Arc::new(Local(KeyedRate::new(&limit()))) as Arc<dyn Limit>).await;
}
