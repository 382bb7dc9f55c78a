//! Handing a message to the broker, until it is there or put aside.

use std::time::Duration;

use stanchion_runtime::random;
use tokio::time::Instant;
use tracing::warn;

use super::{Forwarder, letters};
use crate::{Envelope, PublishError};

/// How often it is said that a group has no room.
const SAY_OVERFLOW: Duration = Duration::from_secs(60);

/// What became of a partition's first message.
pub(super) enum Handed {
    /// The broker has it.
    Confirmed(u16),
    /// The broker takes it never; a row has it.
    Aside(u16),
}

/// Hands a message to the broker until it is confirmed, or put aside.
///
/// A group without room is no reason to wait where groups ask for what they miss: all others would wait with it.
pub(super) async fn hand_over(relay: &Forwarder, envelope: Envelope) -> Handed {
    let mut failures = 0;
    loop {
        match relay.publisher.publish(&envelope).await {
            Ok(()) => {
                relay.confirmed("confirmed");
                return Handed::Confirmed(envelope.partition);
            }
            Err(PublishError::Overflow(reason)) if relay.asks.is_some() => {
                relay.confirmed("overflowed");
                relay.say_overflow(&reason);
                return Handed::Confirmed(envelope.partition);
            }
            Err(PublishError::Refused(reason)) => {
                relay.confirmed("aside");
                letters::put_aside(relay, &envelope, &reason).await;
                return Handed::Aside(envelope.partition);
            }
            Err(error) => {
                failures += 1;
                if failures == 1 {
                    warn!(context = relay.feed.name(), %error, "the relay waits for the broker");
                }
                relay.health.failed(&error.to_string());
                relay.count("refused");
            }
        }
        tokio::time::sleep(relay.backoff(failures)).await;
    }
}

impl Forwarder {
    /// The broker has answered.
    fn confirmed(&self, outcome: &'static str) {
        self.count(outcome);
        self.health.well();
    }

    pub(super) fn count(&self, outcome: &'static str) {
        if let Some(metrics) = &self.metrics {
            metrics.count(outcome);
        }
    }

    /// The wait after so many failures: doubled each time, with jitter.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let limits = &self.limits;
        let doubled = limits
            .backoff_base
            .saturating_mul(1 << failures.min(16).saturating_sub(1));
        let cap = doubled.min(limits.backoff_max);
        cap / 10 + random::jitter(cap - cap / 10)
    }

    fn say_overflow(&self, reason: &str) {
        let mut said = self.overflow_said.lock();
        if said.is_none_or(|said| said.elapsed() >= SAY_OVERFLOW) {
            *said = Some(Instant::now());
            let context = self.feed.name();
            warn!(
                context,
                reason, "a group has no room and will ask for what it misses"
            );
        }
    }
}
