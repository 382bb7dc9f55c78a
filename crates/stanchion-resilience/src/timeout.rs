//! Timeout: how long one attempt may take.

use std::time::Duration;

use crate::Failure;
use crate::guard::{Guard, GuardLayer};

/// The longest one attempt may take; the [deadline](crate::deadline) bounds all attempts together.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use std::time::Duration;
/// use stanchion_resilience::{Failure, timeout::Timeout};
///
/// let timeout = Timeout::new(Duration::from_millis(1));
/// let answer = timeout.call(std::future::pending::<Result<(), ()>>()).await;
/// assert_eq!(answer, Err(Failure::TimedOut(Duration::from_millis(1))));
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout(Duration);

impl Timeout {
    /// A timeout of `span`.
    #[must_use]
    pub fn new(span: Duration) -> Self {
        Timeout(span)
    }

    /// Runs `call`, drops it when the time is over.
    ///
    /// # Errors
    /// [`Failure::TimedOut`]; whether the call took effect is then unknown.
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure<E>> {
        match tokio::time::timeout(self.0, call).await {
            Ok(result) => result.map_err(Failure::Remote),
            Err(_elapsed) => Err(Failure::TimedOut(self.0)),
        }
    }

    /// A tower layer with this timeout.
    #[must_use]
    pub fn layer(&self) -> GuardLayer<Self> {
        GuardLayer(*self)
    }
}

impl Guard for Timeout {
    async fn guard<T: Send, E: Send>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, Failure<E>> {
        self.call(call).await
    }
}
