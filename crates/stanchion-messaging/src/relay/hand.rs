//! Handing a message to the broker, until it is there or put aside.

use std::time::Duration;

use stanchion_runtime::random;
use tokio::time::Instant;
use tracing::warn;

use super::{Forwarder, letters};
use crate::{Envelope, PublishError};

/// How often it is said that a group has no room.
const SAY_OVERFLOW: Duration = Duration::from_secs(60);

/// A partition's next messages leave no sooner than so long after those before: what comes meanwhile goes together, and
/// consumers, which take a partition piece by piece, are given as much at once. The first after a silence never waits.
const PACE: Duration = Duration::from_millis(8);

/// And no sooner than so many times what the broker took to confirm those before. One that is slow, or has no processor
/// left, gets larger pieces: small ones would only wait for each other there, and for the consumer, one by one.
const PACE_OF_CONFIRM: u32 = 4;

/// But that makes nobody wait for longer.
const PACE_MAX: Duration = Duration::from_millis(32);

/// What became of messages of a partition that were handed over.
pub(super) struct Handed {
    pub(super) partition: u16,
    /// The broker has so many of the first ones.
    pub(super) confirmed: usize,
    /// It takes the one after them never; a row has it. Those after that one are not on their way.
    pub(super) is_aside: bool,
}

/// Hands messages of a partition to the broker until all are confirmed, or one is put aside. After a failure they go one by
/// one, then in growing numbers: one that the broker does not take holds up no other that comes before it.
///
/// A group without room is no reason to wait where groups ask for what they miss: all others would wait with it.
pub(super) async fn hand_over(relay: &Forwarder, window: Vec<Envelope>) -> Handed {
    let mut handed = Handed {
        partition: window.first().map_or(0, |first| first.partition),
        confirmed: 0,
        is_aside: false,
    };
    let begun = Instant::now();
    let (mut width, mut failures) = (window.len(), 0);
    while handed.confirmed < window.len() {
        let rest = &window[handed.confirmed..];
        let together = &rest[..width.min(rest.len())];
        match (relay.publisher.publish_all(together).await, together) {
            (Ok(()), _) => {
                relay.confirmed("confirmed", together.len());
                (width, failures) = (width * 2, 0);
                handed.confirmed += together.len();
            }
            (Err(PublishError::Overflow(reason)), [_]) if relay.asks.is_some() => {
                relay.confirmed("overflowed", 1);
                relay.say_overflow(&reason);
                handed.confirmed += 1;
            }
            (Err(PublishError::Refused(reason)), [refused]) => {
                relay.confirmed("aside", 1);
                letters::put_aside(relay, refused, &reason).await;
                handed.is_aside = true;
                return handed;
            }
            // Which of them it is shows when they go alone.
            (Err(PublishError::Overflow(_) | PublishError::Refused(_)), [_, _, ..]) => width = 1,
            (Err(error), _) => {
                (width, failures) = (1, failures + 1);
                if failures == 1 {
                    warn!(context = relay.feed.name(), %error, "the relay waits for the broker");
                }
                relay.health.failed(&error.to_string());
                relay.count("refused");
                tokio::time::sleep(relay.backoff(failures)).await;
            }
        }
    }
    tokio::time::sleep_until(begun + pace(begun.elapsed())).await;
    handed
}

/// How long after their start the next messages of a partition may leave, those before having taken so long.
fn pace(took: Duration) -> Duration {
    took.saturating_mul(PACE_OF_CONFIRM).clamp(PACE, PACE_MAX)
}

impl Forwarder {
    /// The broker has answered for so many messages.
    fn confirmed(&self, outcome: &'static str, messages: usize) {
        for _ in 0..messages {
            self.count(outcome);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_confirms_late_is_given_more_at_once_and_nobody_waits_for_long() {
        let paces = [0, 1, 2, 3, 8, 9, 5_000].map(|took| pace(Duration::from_millis(took)));
        assert_eq!(paces.map(|it| it.as_millis()), [8, 8, 8, 12, 32, 32, 32]);
        assert_eq!(pace(Duration::MAX), PACE_MAX);
    }
}
