//! Trying again what was put aside, the oldest of each key first.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::Consumer;
use crate::Parked;

/// The most retries taken up at once; the rest stays due.
const DUE_MAX: usize = 64;

impl Consumer {
    /// Tries what is due until nothing is, or the stop comes.
    pub(super) async fn retry_due(&self, stop: &CancellationToken) -> Result<(), String> {
        while !stop.is_cancelled() {
            let now = stanchion_runtime::clock::now();
            let due = self.store.due(self.name, now, DUE_MAX).await;
            let due = due.map_err(|error| error.to_string())?;
            if due.is_empty() {
                break;
            }
            stream::iter(due)
                .map(|parked| self.retry(parked))
                .buffer_unordered(self.limits.keys_max)
                .try_collect::<()>()
                .await?;
        }
        Ok(())
    }

    async fn retry(&self, parked: Parked) -> Result<(), String> {
        match self.handle(&parked.message).await {
            Ok(()) => {
                let resolved = self.store.resolve(self.name, parked.message.id).await;
                resolved.map_err(|error| error.to_string())
            }
            Err(error) => {
                self.park_failed(parked.message, parked.attempts, &error)
                    .await
            }
        }
    }

    /// Full jitter over a doubling wait, never under a tenth of it: a retry at once helps nobody.
    pub(super) fn backoff(&self, attempts: u32) -> Duration {
        let doubled = self
            .limits
            .backoff_base
            .saturating_mul(1 << attempts.min(16).saturating_sub(1));
        let cap = doubled.min(self.limits.backoff_max);
        cap / 10 + stanchion_runtime::random::jitter(cap - cap / 10)
    }
}
