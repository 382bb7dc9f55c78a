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
mod ranked;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use gradient::{Gradient, Sample};
pub use kind::Kind;
use limit::Limit;
pub use ranked::Ranked;

use crate::codel::{Codel, CodelSettings};
use crate::deadline::Deadline;
use crate::guard::{Guard, GuardByLayer, GuardLayer};
use crate::moment::nanos;
use crate::{Dice, Failure, Moment, Priority, Refusal};

stanchion_config::settings! {
    /// As many calls at a time as are answered without queueing.
    pub struct AdaptiveSettings {
        /// The limit to begin with.
        #[range(1..=1000)]
        pub start: u32 = 20,
        /// It never falls below.
        #[range(1..=1000)]
        pub min: u32 = 1,
        /// It never rises above.
        #[range(1..=100000)]
        pub max: u32 = 1000,
        /// How much slower than unloaded a call may be without lowering the limit.
        #[range(0.0..=10.0)]
        pub buffer: f64 = 0.25,
        /// How often the limit moves.
        #[range("10ms"..="1m")]
        pub window: Duration = "1s",
        /// With fewer calls it does not.
        #[range(1..=10000)]
        pub window_calls_min: u32 = 10,
        /// How often the time of an unloaded call is measured while the limit is felt, give or take 15 %.
        #[range("1s"..="1h")]
        pub probe_every: Duration = "1m",
        /// With so many calls.
        #[range(1..=1000)]
        pub probe_calls: u32 = 25,
        /// So many of them at a time.
        #[range(1..=100)]
        pub probe_limit: u32 = 1,
        /// For so long, or until five calls of a slower kind have ended.
        #[range("10ms"..="1m")]
        pub probe_max: Duration = "1s",
        /// The queue before it.
        pub queue: CodelSettings = section,
        /// So many wait in it at most, and never more than can be served in time; as many as run unless given.
        #[range("0"..="1000000")]
        pub queue_max: Option<u32> = unset,
    }
    check = min_fits_max;
}

fn min_fits_max(settings: &AdaptiveSettings, checks: &mut stanchion_config::Checks<'_>) {
    if !(settings.min..=settings.max).contains(&settings.start) {
        checks.refuse(
            "start",
            "it is not between `min` and `max`",
            "choose a number between them",
        );
    }
}

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

#[derive(Debug)]
struct State {
    limit: Limit,
    running: u32,
    queue: Codel<oneshot::Sender<Place>>,
    queue_max: Option<u32>,
    /// With so many calls at a time or fewer, what a call takes is what it takes unloaded.
    quiet: u32,
    /// Calls are compared by their kinds.
    is_mixed: bool,
    /// Mean nanoseconds of the last calls, of whatever kind.
    took: f64,
}

/// The mean time of calls is one over about so many.
const TOOK_CALLS: f64 = 64.0;

/// A place under the limit; dropping it frees it for who waits.
#[derive(Debug)]
#[must_use = "a dropped place is free again"]
pub struct Place {
    shared: Option<Arc<Mutex<State>>>,
    began: Moment,
    running: u32,
    kind: Option<Kind>,
}

/// A turn waited for; dropped, it leaves the queue, or gives on the place it has been sent.
struct Waiting<'s> {
    shared: &'s Mutex<State>,
    turn: oneshot::Receiver<Place>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.turn.close();
        // Sent in this very moment: its drop hands it on, and must not find the lock taken.
        if self.turn.try_recv().is_err() {
            let mut state = self.shared.lock();
            state
                .queue
                .forget(Moment::now(), oneshot::Sender::is_closed);
        }
    }
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

    /// A place for a call that had one and gave it back to wait for its caller: whether one is free or not, it goes on.
    /// It had `worked` so long before.
    pub fn resume(&self, now: Moment, worked: Duration) -> Place {
        let mut place = self.shared.lock().place(&self.shared, now);
        place.began = now.before(worked);
        place
    }

    /// A place, waited for as long as the queue allows.
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
            (waiting, state.queue.wait_max(now))
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

impl State {
    fn new(limit: Limit, queue: &CodelSettings, now: Moment) -> Self {
        State {
            limit,
            running: 0,
            queue: Codel::new(queue, now),
            queue_max: None,
            quiet: 0,
            is_mixed: false,
            took: 0.0,
        }
    }

    fn enter(
        &mut self,
        shared: &Arc<Mutex<State>>,
        now: Moment,
        priority: Priority,
    ) -> Option<Place> {
        let has_room = self.running < self.limit.of(priority);
        let is_free = has_room && !self.queue.is_waited_for(priority);
        if !is_free {
            self.limit.felt();
        }
        is_free.then(|| self.place(shared, now))
    }

    fn place(&mut self, shared: &Arc<Mutex<State>>, now: Moment) -> Place {
        self.running += 1;
        Place {
            shared: Some(shared.clone()),
            began: now,
            running: self.running,
            kind: None,
        }
    }

    /// As many as are served within the longest wait, as things are: whoever came behind them would wait in vain.
    fn room(&self) -> usize {
        let limit = self.limit.now();
        let Some(queue_max) = self.queue_max.filter(|_| self.took > 0.0) else {
            return self.queue_max.unwrap_or(limit) as usize;
        };
        let served = f64::from(limit) * self.queue.interval().as_nanos() as f64 / self.took;
        (served as u32).max(limit).min(queue_max) as usize
    }

    fn sample(&mut self, place: &Place, now: Moment, kind: Option<&Kind>) {
        let mut took = now.since(place.began);
        self.took += (nanos(took) as f64 - self.took) / TOOK_CALLS;
        match (self.is_mixed, kind) {
            (false, _) => {}
            (true, Some(kind)) => took = kind.compare(took, place.running <= self.quiet),
            (true, None) => return,
        }
        self.limit.sample(Sample {
            began: place.began,
            ended: now,
            took,
            running: place.running,
        });
    }

    fn wait(
        &mut self,
        now: Moment,
        priority: Priority,
        deadline: Deadline,
    ) -> Result<oneshot::Receiver<Place>, Refusal> {
        let (turn, waiting) = oneshot::channel();
        let room = self.room();
        if self.queue.len() >= room {
            self.queue.forget(now, oneshot::Sender::is_closed);
        }
        // A displaced sender is dropped, which tells its receiver.
        match self.queue.push(now, priority, deadline, turn, room) {
            Ok(_displaced) => Ok(waiting),
            Err(_) => Err(Refusal::Overloaded),
        }
    }

    /// Who may begin now that something has ended.
    fn next(&mut self, now: Moment) -> Option<oneshot::Sender<Place>> {
        let has_room = |class: &Priority| self.running < self.limit.of(*class);
        let least = Priority::ALL.into_iter().rev().find(has_room)?;
        // Shed senders are dropped, which tells their receivers.
        self.queue.pop(now, least).next
    }
}

impl Place {
    /// The call is one of this kind, for a limit of several.
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// When it was taken.
    #[must_use]
    pub fn began(&self) -> Moment {
        self.began
    }

    /// The call has ended, or was given up for taking too long: its time counts for the limit.
    pub fn finish(mut self) {
        let now = Moment::now();
        self.release(now, true);
    }

    /// The same at `now`, for simulations.
    pub fn finish_at(mut self, now: Moment) {
        self.release(now, true);
    }

    fn release(&mut self, now: Moment, is_sample: bool) {
        let Some(shared) = self.shared.take() else {
            return;
        };
        let mut state = shared.lock();
        state.running -= 1;
        if is_sample {
            let kind = self.kind.take();
            state.sample(self, now, kind.as_ref());
        }
        // As many as the limit lets in; a waiter that has gone leaves its place to the next.
        while let Some(turn) = state.next(now) {
            let place = state.place(&shared, now);
            if let Err(mut unwanted) = turn.send(place) {
                // Not through its drop, which would want the lock again.
                unwanted.shared = None;
                state.running -= 1;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.shared.is_some() {
            self.release(Moment::now(), false);
        }
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
