//! Bulkhead: how many calls to one dependency there may be at a time.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use stanchion_runtime::task::{self, Task};
use tokio::sync::oneshot;

use crate::atomic::{Asked, Had, Turnstile};
use crate::deadline::Deadline;
use crate::guard::{Guard, GuardLayer};
use crate::{Failure, Moment, Priority, Refusal};

stanchion_config::settings! {
    /// How many calls to one dependency there may be at a time.
    pub struct BulkheadSettings {
        /// Calls at a time.
        #[range(1..=100000)]
        pub slots: u32 = 25,
        /// Calls that may wait for a slot.
        #[range(0..=100000)]
        pub queue: u32 = 25,
        /// How long each of them waits.
        #[range("0"..="1m")]
        pub wait: Duration = "100ms",
    }
}

/// A fixed number of slots, so that one hanging dependency cannot hold every task; clones share the slots.
///
/// Slots go out in the order of asking. A waiting call that is dropped gives up its place; a slot that is dropped is
/// free at once. [`call`](Self::call) drops call and slot together; with [`spawn`](Self::spawn) both outlive a caller
/// that goes away, which is the truth about work that cannot be cancelled.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use stanchion_resilience::bulkhead::{Bulkhead, BulkheadSettings};
///
/// let bulkhead = Bulkhead::new(&BulkheadSettings { slots: 1, queue: 0, ..Default::default() });
/// let slot = bulkhead.try_enter().unwrap();
/// assert!(bulkhead.call(async { Ok::<_, ()>(1) }).await.is_err());
/// drop(slot);
/// assert_eq!(bulkhead.call(async { Ok::<_, ()>(1) }).await, Ok(1));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Bulkhead {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// A message wakes a waiter; whether it has a slot is decided in the turnstile alone.
    turnstile: Turnstile<oneshot::Sender<()>>,
    settings: BulkheadSettings,
}

/// One of the slots; dropping it frees it. It is `'static`, so it can go where the work goes.
#[derive(Debug)]
#[must_use = "a dropped slot is free again"]
pub struct Slot {
    shared: Arc<Shared>,
}

/// A slot that stays in the future it was taken in, which saves two reference counts a call.
#[derive(Debug)]
#[must_use = "a dropped slot is free again"]
pub(crate) struct SlotHere<'b> {
    shared: &'b Shared,
}

/// A place in the line; dropped, whatever it has become is given back.
struct Waiting<'b> {
    shared: &'b Shared,
    number: u64,
}

impl Bulkhead {
    /// A bulkhead with all slots free.
    #[must_use]
    pub fn new(settings: &BulkheadSettings) -> Self {
        Bulkhead {
            shared: Arc::new(Shared {
                turnstile: Turnstile::new(settings.slots, settings.queue),
                settings: settings.clone(),
            }),
        }
    }

    /// The core: a slot if one is free and nobody waits for it.
    ///
    /// # Errors
    /// [`Refusal::BulkheadFull`].
    pub fn try_enter(&self) -> Result<Slot, Refusal> {
        self.try_enter_here()
            .map(|slot| slot.kept(&self.shared))
            .ok_or(Refusal::BulkheadFull)
    }

    /// A slot, waited for if there is room in the queue.
    ///
    /// # Errors
    /// [`Refusal::BulkheadFull`] at once when the queue is full, or when the wait was too long.
    pub async fn enter(&self) -> Result<Slot, Refusal> {
        Ok(self.enter_here(Deadline::NONE).await?.kept(&self.shared))
    }

    /// Runs `call` in a slot.
    ///
    /// # Errors
    /// Refused as [`enter`](Self::enter) does, else what `call` gave.
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure<E>> {
        let _slot = self.enter_here(Deadline::NONE).await?;
        call.await.map_err(Failure::Remote)
    }

    /// Runs `work` as a task that keeps its slot until it has ended, whoever still waits for it.
    ///
    /// # Errors
    /// Refused as [`enter`](Self::enter) does.
    pub async fn spawn<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<Task<T>, Refusal> {
        let slot = self.enter().await?;
        Ok(task::spawn(name, async move {
            let _slot = slot;
            work.await
        }))
    }

    /// Slots in use.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.shared.turnstile.running()
    }

    /// Calls in the queue.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.shared.turnstile.waiting()
    }

    /// A tower layer over these very slots.
    #[must_use]
    pub fn layer(&self) -> GuardLayer<Self> {
        GuardLayer(self.clone())
    }

    /// The settings it was made with.
    #[must_use]
    pub fn settings(&self) -> &BulkheadSettings {
        &self.shared.settings
    }

    /// Whether a call of this class may ask for a slot: those that can wait leave some for those that cannot.
    pub(crate) fn is_open_to(&self, priority: Priority) -> bool {
        let slots = self.shared.settings.slots;
        priority <= Priority::Normal || self.running() < priority.part_of(slots)
    }

    pub(crate) fn try_enter_here(&self) -> Option<SlotHere<'_>> {
        let shared = &*self.shared;
        shared.turnstile.enter().then(|| SlotHere { shared })
    }

    /// Waits until `deadline` at most: whoever's time is over has gone.
    pub(crate) async fn enter_here(&self, deadline: Deadline) -> Result<SlotHere<'_>, Refusal> {
        if let Some(slot) = self.try_enter_here() {
            return Ok(slot);
        }
        let shared = &*self.shared;
        let (turn, mut told) = oneshot::channel();
        let waiting = match shared.turnstile.wait(turn) {
            Asked::Slot => return Ok(SlotHere { shared }),
            Asked::Full => return Err(Refusal::BulkheadFull),
            Asked::Place(number) => Waiting { shared, number },
        };
        let wait = shared.settings.wait.min(deadline.left(Moment::now()));
        match tokio::time::timeout(wait, &mut told).await {
            Ok(_told) => Ok(waiting.slot()),
            Err(_elapsed) if deadline.left(Moment::now()).is_zero() => Err(Refusal::NoTimeLeft),
            Err(_elapsed) => Err(Refusal::BulkheadFull),
        }
    }
}

impl Shared {
    fn leave(&self) {
        if let Some(turn) = self.turnstile.leave() {
            // Whoever has gone away without hearing it finds the slot when it gives up.
            let _ = turn.send(());
        }
    }
}

impl<'b> Waiting<'b> {
    /// It was told that it has a slot.
    fn slot(self) -> SlotHere<'b> {
        let shared = self.shared;
        std::mem::forget(self);
        SlotHere { shared }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.shared.turnstile.give_up(self.number) == Had::Slot {
            self.shared.leave();
        }
    }
}

impl SlotHere<'_> {
    fn kept(self, shared: &Arc<Shared>) -> Slot {
        std::mem::forget(self);
        Slot {
            shared: shared.clone(),
        }
    }
}

impl Drop for SlotHere<'_> {
    fn drop(&mut self) {
        self.shared.leave();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.leave();
    }
}

impl Guard for Bulkhead {
    async fn guard<T: Send, E: Send>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, Failure<E>> {
        self.call(call).await
    }
}
