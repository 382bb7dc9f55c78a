//! The async function and the tower form: a fixed number of slots behind the queue.

use super::CodelSettings;
use crate::adaptive::{Adaptive, Place, Ranked};
use crate::deadline::Deadline;
use crate::guard::{Guard, GuardByLayer, GuardLayer};
use crate::{Failure, Moment, Priority, Refusal};

stanchion_config::settings! {
    /// How many calls at a time, and how long others wait for their turn.
    pub struct CodelGateSettings {
        /// Calls at a time; as many may wait.
        #[range(1..=100000)]
        pub slots: u32 = 25,
        /// The queue before them.
        pub queue: CodelSettings = section,
    }
}

/// A fixed number of slots behind a [`Codel`](super::Codel) queue; clones share both.
///
/// For a known capacity under callers of different importance, where a [bulkhead](crate::bulkhead)'s first come first
/// served would serve those who have given up. An unknown capacity is what [`adaptive`](crate::adaptive) finds.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use stanchion_resilience::codel::{CodelGate, CodelGateSettings};
///
/// let gate = CodelGate::new(&CodelGateSettings::default());
/// assert_eq!(gate.call(async { Ok::<_, ()>(42) }).await, Ok(42));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct CodelGate(Adaptive);

impl CodelGate {
    /// A gate with all slots free.
    #[must_use]
    pub fn new(settings: &CodelGateSettings) -> Self {
        CodelGate(Adaptive::fixed(
            settings.slots,
            &settings.queue,
            Moment::now(),
        ))
    }

    /// The core: a place if one is free for this class at `now` and nobody of its rank waits.
    ///
    /// # Errors
    /// [`Refusal::Overloaded`].
    pub fn try_enter(&self, now: Moment, priority: Priority) -> Result<Place, Refusal> {
        self.0.try_enter(now, priority)
    }

    /// A place, waited for as long as the queue allows.
    ///
    /// # Errors
    /// [`Refusal::Overloaded`] when the queue is full, the wait too long or the time left too short for work.
    pub async fn enter(&self, priority: Priority, deadline: Deadline) -> Result<Place, Refusal> {
        self.0.enter(priority, deadline).await
    }

    /// Runs `call` in a place of normal priority.
    ///
    /// # Errors
    /// Refused as [`enter`](Self::enter) does, else what `call` gave.
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure<E>> {
        self.0.call(call).await
    }

    pub(crate) fn limit(&self) -> &Adaptive {
        &self.0
    }

    /// Places in use.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.0.running()
    }

    /// Calls in the queue.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.waiting()
    }

    /// A tower layer over this very gate, all requests of normal priority.
    #[must_use]
    pub fn layer(&self) -> GuardLayer<Self> {
        GuardLayer(self.clone())
    }

    /// The same with each request's own class and deadline, which `of` tells.
    pub fn layer_by<R>(
        &self,
        of: impl Fn(&R) -> (Priority, Deadline) + Clone,
    ) -> GuardByLayer<impl Fn(&R) -> Ranked + Clone> {
        self.0.layer_by(of)
    }
}

impl Guard for CodelGate {
    async fn guard<T: Send, E: Send>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, Failure<E>> {
        self.call(call).await
    }
}
