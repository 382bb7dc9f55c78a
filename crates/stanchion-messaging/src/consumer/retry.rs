//! Trying again what was put aside, the oldest of each key first.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use parking_lot::Mutex;
use stanchion_runtime::clock;
use tokio::time::Instant;

use super::Consumer;
use crate::Parked;

/// The most retries taken up at once; the rest stays due.
const DUE_MAX: usize = 64;

/// How often messages of contracts that were unknown are looked for, and what is parked is counted.
const LOOK: Duration = Duration::from_secs(2);

impl Consumer {
    /// Tries what is due, one round: deliveries get their turn beside it. Whether there was anything.
    pub(super) async fn retry_due(&self, look: &Look) -> Result<bool, String> {
        let (now, after) = (clock::now(), self.limits.after_last_attempt);
        let due = self.store.due(self.name, now, after, DUE_MAX).await;
        let mut due = due.map_err(|error| error.to_string())?;
        if look.is_due() {
            let known: Vec<&str> = self.handlers.keys().copied().collect();
            let known = self.store.unknown(self.name, &known, after, DUE_MAX).await;
            let known = known.map_err(|error| error.to_string())?;
            if !known.is_empty() {
                look.soon();
            }
            due.extend(known);
            self.show_parked().await?;
        }
        let any = !due.is_empty();
        stream::iter(due)
            .map(|parked| self.retry(parked))
            .buffer_unordered(self.limits.keys_max.max(1))
            .try_collect::<()>()
            .await?;
        Ok(any)
    }

    async fn retry(&self, parked: Parked) -> Result<(), String> {
        if !self.handlers.contains_key(parked.message.contract.as_str()) {
            let message = parked.message.clone();
            return self.park_unknown(message, Some(&parked)).await;
        }
        match self.handle(&parked.message).await {
            Ok(()) => {
                let resolved = self.store.resolve(self.name, parked.message.id).await;
                resolved.map_err(|error| error.to_string())
            }
            Err(error) => {
                let message = parked.message.clone();
                let state = self.park_failed(message, Some(&parked), &error).await;
                state.map(drop)
            }
        }
    }

    /// A quarter of the time it has waited already, so that a long outage is not met by a storm and
    /// the end of a short one not missed for long.
    pub(super) fn patience(&self, before: Option<&Parked>, now: Timestamp) -> Duration {
        let waited = before.map(|parked| now.duration_since(parked.parked_at));
        let waited = waited.and_then(|waited| Duration::try_from(waited).ok());
        let (base, max) = (self.limits.backoff_base, self.limits.backoff_max);
        spread((waited.unwrap_or_default() / 4).clamp(base, max.max(base)))
    }

    /// Jitter over a doubling wait, never under a tenth of it: a retry at once helps nobody.
    pub(super) fn backoff(&self, attempts: u32) -> Duration {
        let doubled = self
            .limits
            .backoff_base
            .saturating_mul(1 << attempts.min(16).saturating_sub(1));
        let cap = doubled.min(self.limits.backoff_max);
        spread(cap)
    }
}

/// When it is time again to look for what is seldom there.
pub(super) struct Look(Mutex<Instant>);

impl Look {
    /// At once.
    pub(super) fn now() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    fn is_due(&self) -> bool {
        let mut next = self.0.lock();
        let now = Instant::now();
        if now < *next {
            return false;
        }
        *next = now + LOOK;
        true
    }

    /// Some were found: the next ones of their keys may be unknown as well.
    fn soon(&self) {
        *self.0.lock() = Instant::now();
    }
}

fn spread(cap: Duration) -> Duration {
    cap / 10 + stanchion_runtime::random::jitter(cap - cap / 10)
}
