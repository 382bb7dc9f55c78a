//! Adaptive limit: as many calls at a time as are answered without queueing, found by measuring.
//!
//! One algorithm, [`Gradient`], with a short [CoDel queue](crate::codel) before it, ordered by
//! [`Priority`]. It protects a server from its callers, and a dependency from us, where nobody knows the right number.
//! Where cheap and expensive calls share a limit, [`Adaptive::mixed`] compares each with the usual time of its
//! [`Kind`].

mod gradient;
mod kind;
mod limit;
#[cfg(test)]
mod mixed_tests;
mod place;
mod ranked;
mod samples;
mod settings;
#[cfg(test)]
mod starved_tests;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

pub use gradient::{Gradient, Sample};
pub use kind::Kind;
use limit::Limit;
pub use place::Place;
use place::Waiting;
pub use ranked::Ranked;
pub use settings::AdaptiveSettings;
use state::State;

use crate::codel::CodelSettings;
use crate::deadline::Deadline;
use crate::guard::{Guard, GuardByLayer, GuardLayer};
use crate::{Dice, Failure, Moment, Priority, Refusal};

/// An adaptive limit; clones share it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use stanchion_resilience::{Priority, adaptive::{Adaptive, AdaptiveSettings}, deadline::Deadline};
///
/// let limit = Adaptive::new(&AdaptiveSettings::default());
/// let place = limit.enter(Priority::Normal, Deadline::NONE).await.unwrap();
/// // … the work …
/// place.finish();
/// assert_eq!(limit.limit(), 20);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Adaptive {
    shared: Arc<Mutex<State>>,
}

impl Adaptive {
    /// A limit at its start.
    #[must_use]
    pub fn new(settings: &AdaptiveSettings) -> Self {
        Adaptive::with(settings, Dice::system(), Moment::now())
    }

    /// The same with given chance, begun at `now`.
    #[must_use]
    pub fn with(settings: &AdaptiveSettings, dice: Dice, now: Moment) -> Self {
        Adaptive::measured(Gradient::new(settings, dice, now), settings, false, now)
    }

    /// The same for calls of several kinds: each place is told its [`Kind`] by [`Place::of_kind`], and one without says
    /// nothing about the limit.
    #[must_use]
    pub fn mixed(settings: &AdaptiveSettings, dice: Dice, now: Moment) -> Self {
        let gradient = Gradient::new(settings, dice, now).against(kind::REFERENCE);
        Adaptive::measured(gradient, settings, true, now)
    }

    fn measured(
        gradient: Gradient,
        settings: &AdaptiveSettings,
        is_mixed: bool,
        now: Moment,
    ) -> Self {
        Adaptive::of(State {
            queue_max: settings.queue_max,
            quiet: settings.probe_limit,
            is_mixed,
            ..State::new(Limit::Measured(Box::new(gradient)), &settings.queue, now)
        })
    }

    /// Not adaptive at all: `slots` places for ever, behind the same queue. What [`CodelGate`] is made of.
    ///
    /// [`CodelGate`]: crate::codel::CodelGate
    pub(crate) fn fixed(slots: u32, queue: &CodelSettings, now: Moment) -> Self {
        Adaptive::of(State::new(Limit::Fixed(slots), queue, now))
    }

    fn of(state: State) -> Self {
        Adaptive {
            shared: Arc::new(Mutex::new(state)),
        }
    }

    /// The core: a place if one is free for this class at `now` and nobody of its rank waits.
    ///
    /// # Errors
    /// [`Refusal::Overloaded`].
    pub fn try_enter(&self, now: Moment, priority: Priority) -> Result<Place, Refusal> {
        let place = self.shared.lock().enter(&self.shared, now, priority);
        place.ok_or(Refusal::Overloaded)
    }

    /// A place if one is free, for who otherwise goes on to [`enter`](Self::enter): one call that finds none makes the
    /// limit felt once, there.
    #[must_use]
    pub fn enter_at_once(&self, now: Moment, priority: Priority) -> Option<Place> {
        let mut state = self.shared.lock();
        state.enter_at_once(&self.shared, now, priority)
    }

    /// A place for a call that had one and gave it back to wait for its caller: whether one is free or not, it goes on.
    /// It had `worked` so long before.
    pub fn resume(&self, now: Moment, worked: Duration) -> Place {
        let mut place = self.shared.lock().place(&self.shared, now);
        place.began = now.before(worked);
        place
    }

    /// A place, waited for as long as the queue allows, and until `deadline` at most.
    ///
    /// # Errors
    /// [`Refusal::Overloaded`] when the queue is full, the wait too long or the time left too short for work.
    pub async fn enter(&self, priority: Priority, deadline: Deadline) -> Result<Place, Refusal> {
        let now = Moment::now();
        let (waiting, wait_max) = {
            let mut state = self.shared.lock();
            if let Some(place) = state.enter(&self.shared, now, priority) {
                return Ok(place);
            }
            let waiting = state.wait(now, priority, deadline)?;
            // Whoever's time is over has gone.
            (waiting, state.queue.wait_max(now).min(deadline.left(now)))
        };
        let mut waiting = Waiting {
            shared: &self.shared,
            turn: waiting,
        };
        match tokio::time::timeout(wait_max, &mut waiting.turn).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_shed)) => Err(Refusal::Overloaded),
            Err(_elapsed) => Err(Refusal::Overloaded),
        }
    }

    /// The guard of a call of this class that ends by `deadline`.
    #[must_use]
    pub fn ranked(&self, priority: Priority, deadline: Deadline) -> Ranked {
        Ranked {
            limit: self.clone(),
            priority,
            deadline,
        }
    }

    /// Runs `call` in a place of normal priority.
    ///
    /// # Errors
    /// Refused as [`enter`](Self::enter) does, else what `call` gave.
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure<E>> {
        self.ranked(Priority::Normal, Deadline::NONE)
            .call(call)
            .await
    }

    /// The present limit.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.shared.lock().limit.now()
    }

    /// Calls that found no place at once since the present window of measuring began, each counted once, whether it then
    /// waited or not; 0 where the limit is a given one. When they are half of the calls that end, the limit is felt.
    #[must_use]
    pub fn felt(&self) -> usize {
        self.shared.lock().limit.refusals()
    }

    /// Places in use.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.shared.lock().running
    }

    /// Calls in the queue.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.lock().queue.len()
    }

    /// A tower layer over this very limit, all requests of normal priority.
    #[must_use]
    pub fn layer(&self) -> GuardLayer<Self> {
        GuardLayer(self.clone())
    }

    /// The same with each request's own class and deadline, which `of` tells.
    pub fn layer_by<R>(
        &self,
        of: impl Fn(&R) -> (Priority, Deadline) + Clone,
    ) -> GuardByLayer<impl Fn(&R) -> Ranked + Clone> {
        let limit = self.clone();
        GuardByLayer::new(move |request: &R| {
            let (priority, deadline) = of(request);
            limit.ranked(priority, deadline)
        })
    }
}

impl Guard for Adaptive {
    async fn guard<T: Send, E: Send>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, Failure<E>> {
        self.call(call).await
    }
}
