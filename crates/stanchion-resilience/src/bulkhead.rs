//! Bulkhead: how many calls to one dependency there may be at a time.

use std::sync::Arc;
use std::time::Duration;

use stanchion_runtime::task::{self, Task};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::guard::{Guard, GuardLayer};
use crate::{Failure, Refusal};

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
    slots: Arc<Semaphore>,
    /// The places in the queue.
    queue: Semaphore,
    settings: BulkheadSettings,
}

/// One of the slots; dropping it frees it. It is `'static`, so it can go where the work goes.
#[derive(Debug)]
#[must_use = "a dropped slot is free again"]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Bulkhead {
    /// A bulkhead with all slots free.
    #[must_use]
    pub fn new(settings: &BulkheadSettings) -> Self {
        Bulkhead {
            shared: Arc::new(Shared {
                slots: Arc::new(Semaphore::new(settings.slots as usize)),
                queue: Semaphore::new(settings.queue as usize),
                settings: settings.clone(),
            }),
        }
    }

    /// The core: a slot if one is free and nobody waits for it.
    ///
    /// # Errors
    /// [`Refusal::BulkheadFull`].
    pub fn try_enter(&self) -> Result<Slot, Refusal> {
        let permit = self.shared.slots.clone().try_acquire_owned();
        permit.map(Slot::new).map_err(|_| Refusal::BulkheadFull)
    }

    /// A slot, waited for if there is room in the queue.
    ///
    /// # Errors
    /// [`Refusal::BulkheadFull`] at once when the queue is full, or when the wait was too long.
    pub async fn enter(&self) -> Result<Slot, Refusal> {
        if let Ok(slot) = self.try_enter() {
            return Ok(slot);
        }
        let _place = self.place()?;
        let waiting = self.shared.slots.clone().acquire_owned();
        let permit = self.wait(waiting).await?;
        permit.map(Slot::new).map_err(|_| Refusal::Closed)
    }

    /// Runs `call` in a slot.
    ///
    /// # Errors
    /// Refused as [`enter`](Self::enter) does, else what `call` gave.
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure<E>> {
        let _slot = self.enter_here().await?;
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
        self.shared.settings.slots - self.shared.slots.available_permits() as u32
    }

    /// Calls in the queue.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.shared.settings.queue - self.shared.queue.available_permits() as u32
    }

    /// A tower layer over these very slots.
    #[must_use]
    pub fn layer(&self) -> GuardLayer<Self> {
        GuardLayer(self.clone())
    }

    /// A slot that stays in this future, which saves two reference counts a call.
    pub(crate) fn try_enter_here(&self) -> Option<SemaphorePermit<'_>> {
        self.shared.slots.try_acquire().ok()
    }

    pub(crate) async fn enter_here(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        if let Some(permit) = self.try_enter_here() {
            return Ok(permit);
        }
        let _place = self.place()?;
        let permit = self.wait(self.shared.slots.acquire()).await?;
        permit.map_err(|_| Refusal::Closed)
    }

    fn place(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        let place = self.shared.queue.try_acquire();
        place.map_err(|_| Refusal::BulkheadFull)
    }

    async fn wait<T>(&self, waiting: impl Future<Output = T>) -> Result<T, Refusal> {
        let waited = tokio::time::timeout(self.shared.settings.wait, waiting).await;
        waited.map_err(|_elapsed| Refusal::BulkheadFull)
    }
}

impl Slot {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        Slot { _permit: permit }
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

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use proptest::prelude::*;
    use tokio::sync::oneshot;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::Moment;

    fn given(slots: u32, queue: u32) -> Bulkhead {
        Bulkhead::new(&BulkheadSettings {
            slots,
            queue,
            ..BulkheadSettings::default()
        })
    }

    async fn work(span: Duration) -> Result<(), ()> {
        sleep(span).await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn calls_beyond_slots_and_queue_are_refused_at_once() {
        let bulkhead = given(2, 3);
        let begun = Moment::now();
        let calls = (0..10).map(|_| bulkhead.call(work(Duration::from_millis(20))));
        let answers = join_all(calls).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 5);
        let refused = Err(Failure::Refused(Refusal::BulkheadFull));
        assert_eq!(
            answers.iter().filter(|answer| **answer == refused).count(),
            5
        );
        assert!(Moment::now().since(begun) < Duration::from_millis(70));
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_call_waits_no_longer_than_allowed() {
        let bulkhead = given(1, 1);
        let _slot = bulkhead.try_enter().unwrap();
        let begun = Moment::now();
        assert_eq!(bulkhead.enter().await.unwrap_err(), Refusal::BulkheadFull);
        assert_eq!(Moment::now().since(begun).as_millis(), 100);
        assert_eq!(bulkhead.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn spawned_work_keeps_its_slot_when_the_caller_has_gone() {
        let bulkhead = given(1, 0);
        let (finish, finished) = oneshot::channel::<()>();
        let caller = async {
            let task = bulkhead.spawn("work", finished).await.unwrap();
            task.await
        };
        assert!(timeout(Duration::from_millis(10), caller).await.is_err());
        assert_eq!(bulkhead.running(), 1, "the work still runs");
        finish.send(()).unwrap();
        tokio::task::yield_now().await;
        assert_eq!(bulkhead.running(), 0);
    }

    #[tokio::test]
    async fn a_panic_frees_the_slot() {
        let bulkhead = given(1, 0);
        let inside = bulkhead.clone();
        let call = async move {
            inside
                .call(async { panic!("a bug") as Result<(), ()> })
                .await
        };
        assert!(task::spawn("call", call).await.is_err());
        assert_eq!(bulkhead.running(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Calls that begin, take and are dropped at random moments leave nothing behind.
        #[test]
        fn no_slot_and_no_place_leaks_under_random_cancellation(
            calls in proptest::collection::vec((0..200_u64, 0..200_u64, 0..200_u64), 1..100),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let bulkhead = given(3, 4);
                let calls = calls.iter().map(|(begin, take, patience)| {
                    let bulkhead = &bulkhead;
                    async move {
                        sleep(Duration::from_millis(*begin)).await;
                        let call = bulkhead.call(work(Duration::from_millis(*take)));
                        let _ = timeout(Duration::from_millis(*patience), call).await;
                        assert!(bulkhead.running() <= 3 && bulkhead.waiting() <= 4);
                    }
                });
                join_all(calls).await;
                assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0));
            });
        }
    }
}
