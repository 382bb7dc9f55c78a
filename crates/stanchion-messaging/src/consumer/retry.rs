//! Trying again what was put aside, the oldest of each key first.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use super::Consumer;
use crate::Parked;

/// The most retries taken up at once; the rest stays due.
const DUE_MAX: usize = 64;

impl Consumer {
    /// Tries what is due, one round: deliveries get their turn after it. Whether there was anything.
    pub(super) async fn retry_due(&self) -> Result<bool, String> {
        let now = stanchion_runtime::clock::now();
        let due = self.store.due(self.name, now, DUE_MAX).await;
        let due = due.map_err(|error| error.to_string())?;
        let any = !due.is_empty();
        stream::iter(due)
            .map(|parked| self.retry(parked))
            .buffer_unordered(self.limits.keys_max)
            .try_collect::<()>()
            .await?;
        Ok(any)
    }

    async fn retry(&self, parked: Parked) -> Result<(), String> {
        match self.handle(&parked.message).await {
            Ok(()) => {
                let resolved = self.store.resolve(self.name, parked.message.id).await;
                resolved.map_err(|error| error.to_string())
            }
            Err(error) => {
                let message = parked.message.clone();
                self.park_failed(message, Some(&parked), &error).await
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

fn spread(cap: Duration) -> Duration {
    cap / 10 + stanchion_runtime::random::jitter(cap - cap / 10)
}
