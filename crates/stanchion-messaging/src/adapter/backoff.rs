use std::time::Duration;

use tokio::time::Instant;

/// When to try again: a doubling wait with jitter over its second half, reset by success.
#[derive(Debug)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    failures: u32,
    not_before: Instant,
}

impl Backoff {
    /// The first wait, and the longest.
    #[must_use]
    pub fn new(base: Duration, max: Duration) -> Self {
        Self {
            base,
            max,
            failures: 0,
            not_before: Instant::now(),
        }
    }

    /// Waits as long as it must be waited before the next attempt.
    pub async fn wait(&self) {
        tokio::time::sleep_until(self.not_before).await;
    }

    /// The next attempt waits twice as long as this one did.
    pub fn failed(&mut self) {
        let doubled = self.base.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let wait = doubled.min(self.max);
        let spread = wait / 2 + stanchion_runtime::random::jitter(wait / 2);
        self.not_before = Instant::now() + spread;
    }

    /// The next failure is the first one again.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}
