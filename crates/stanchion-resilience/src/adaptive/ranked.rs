//! A call with its class and deadline, as a guard.

use super::Adaptive;
use crate::deadline::Deadline;
use crate::guard::Guard;
use crate::{Failure, Priority};

/// Calls of one class under an [`Adaptive`] limit or a [`CodelGate`](crate::codel::CodelGate), as a [`Guard`].
#[derive(Debug, Clone)]
pub struct Ranked {
    pub(super) limit: Adaptive,
    pub(super) priority: Priority,
    pub(super) deadline: Deadline,
}

impl Ranked {
    /// Runs `call` in a place of its class.
    ///
    /// # Errors
    /// Refused as [`Adaptive::enter`] does, else what `call` gave.
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure<E>> {
        let place = self.limit.enter(self.priority, self.deadline).await?;
        let result = call.await;
        place.finish();
        result.map_err(Failure::Remote)
    }
}

impl Guard for Ranked {
    async fn guard<T: Send, E: Send>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, Failure<E>> {
        self.call(call).await
    }
}
