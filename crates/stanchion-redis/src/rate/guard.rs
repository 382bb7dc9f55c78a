//! One call's check as a guard, for tower.

use stanchion_resilience::{Failure, Guard};

use super::SharedRate;

/// The check of one key and cost, as a [`Guard`].
#[derive(Debug, Clone)]
pub struct KeyGuard {
    rate: SharedRate,
    key: String,
    cost: u32,
}

impl KeyGuard {
    pub(super) fn new(rate: SharedRate, key: String, cost: u32) -> Self {
        KeyGuard { rate, key, cost }
    }
}

impl Guard for KeyGuard {
    async fn guard<T: Send, E: Send>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, Failure<E>> {
        self.rate.check(&self.key, self.cost).await?;
        call.await.map_err(Failure::Remote)
    }
}
