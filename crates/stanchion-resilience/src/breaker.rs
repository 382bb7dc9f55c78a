//! Circuit breaker: stops calling what does not answer, and lets it recover.
//!
//! ```text
//!            bad share of the window too high
//!   CLOSED ────────────────────────────────────► OPEN ◄──────────────┐
//!     ▲                                            │ open time ± jitter │
//!     │  enough good probes                        ▼                    │ too many bad probes,
//!     └───────────────────────────────────── HALF-OPEN ────────────────┘ or none comes back
//! ```
//!
//! It is judged after each failed or slow call, over the last calls that are not too old: a window by count *and*
//! by time. By time alone, thousands of good calls would have to age out before a brownout shows.
//!
//! What does not count: a call whose caller went away, what another policy refused, and what the classifier calls
//! [`Verdict::Ignored`]. A panic counts as a failure. Results of an earlier state are thrown away: each state has a
//! generation, and a call carries that of the state it was let out in.
//!
//! Cost: a call through a closed breaker loads one word, reads the clock twice and writes one word of a ring that
//! its thread has to itself; there is no lock. Locks guard changes of state and the few probes of half-open.

mod change;
mod counts;
mod machine;
mod permit;
mod settings;
#[cfg(test)]
mod tests;
mod verdict;
mod window;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use change::{Change, State};
pub use counts::Counts;
pub use permit::Permit;
pub use settings::BreakerSettings;
pub use verdict::Verdict;

use crate::guard::{Guard, GuardLayer};
use crate::{Dice, Failure, Moment, Refusal};
use machine::Machine;

/// What the machine is made of; `tests/schedules.rs` makes it of shuttle's.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};

    pub(super) use parking_lot::{Mutex, MutexGuard};

    pub(super) use crate::atomic::{Ring, Standing};
}

/// A circuit breaker; clones are the same breaker.
///
/// One per endpoint and host: a breaker over several hosts averages them, and opens for the healthy ones too.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use stanchion_resilience::{Failure, breaker::{Breaker, BreakerSettings}};
///
/// let breaker = Breaker::new("bank", &BreakerSettings::default());
/// let answer = breaker.call(async { Ok::<_, std::io::Error>(42) }).await;
/// assert!(matches!(answer, Ok(42)));
///
/// breaker.force_open();
/// let answer = breaker.call(async { Ok::<_, std::io::Error>(42) }).await;
/// assert!(matches!(answer, Err(Failure::Refused(_))));
/// # }
/// ```
#[derive(Clone)]
pub struct Breaker {
    machine: Arc<Machine>,
}

/// Makes a [`Breaker`] whose rules differ from what settings can say.
pub struct BreakerBuilder {
    name: String,
    settings: BreakerSettings,
    trips: Option<Trips>,
    listener: Option<Listener>,
    dice: Dice,
}

/// A call that was let out, to be handed back to [`Breaker::record`].
///
/// One that is never handed back keeps its probe until [`BreakerSettings::probe_wait_max`]; [`Permit`] cannot be
/// forgotten so easily.
#[derive(Debug)]
#[must_use = "a ticket that is not recorded keeps its place"]
pub struct Ticket {
    word: u64,
    at: Moment,
}

type Trips = Box<dyn Fn(&Counts) -> bool + Send + Sync>;
type Listener = Box<dyn Fn(&Change) + Send + Sync>;

impl Breaker {
    /// A closed breaker; the name is for logs and metrics.
    #[must_use]
    pub fn new(name: impl Into<String>, settings: &BreakerSettings) -> Self {
        Breaker::builder(name, settings).build()
    }

    /// The same with a predicate, a listener or seeded chance.
    #[must_use]
    pub fn builder(name: impl Into<String>, settings: &BreakerSettings) -> BreakerBuilder {
        BreakerBuilder {
            name: name.into(),
            settings: settings.clone(),
            trips: None,
            listener: None,
            dice: Dice::system(),
        }
    }

    /// Runs `call` if the breaker lets it out; every error is a failure of the dependency.
    ///
    /// # Errors
    /// [`Failure::Refused`] at once while the breaker is open, else what `call` gave.
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure<E>> {
        self.call_judged(call, Verdict::of).await
    }

    /// The same, with `judge` telling what the outcome says about the dependency.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_judged<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
        judge: impl FnOnce(&Result<T, E>) -> Verdict,
    ) -> Result<T, Failure<E>> {
        let permit = self.acquire()?;
        let result = call.await;
        permit.settle(judge(&result));
        result.map_err(Failure::Remote)
    }

    /// A permit for one call now, which gives itself back when dropped.
    ///
    /// # Errors
    /// [`Refusal::BreakerOpen`] while it is open, or half-open with all its probes out.
    pub fn acquire(&self) -> Result<Permit<'_>, Refusal> {
        self.acquire_at(Moment::now())
    }

    /// The same at `now`, where the clock has been read already.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_at(&self, now: Moment) -> Result<Permit<'_>, Refusal> {
        let ticket = self.try_acquire(now)?;
        Ok(Permit::new(self, ticket))
    }

    /// The core's question: may a call go out at `now`?
    ///
    /// # Errors
    /// [`Refusal::BreakerOpen`] with the time after which to ask again.
    pub fn try_acquire(&self, now: Moment) -> Result<Ticket, Refusal> {
        self.machine.acquire(now)
    }

    /// Whether a call at `now` would be refused, without taking a probe: for what must be known before queueing.
    ///
    /// # Errors
    /// [`Refusal::BreakerOpen`] while it is open.
    pub fn peek(&self, now: Moment) -> Result<(), Refusal> {
        self.machine.peek(now)
    }

    /// The core's answer: what came of the call that `ticket` let out. Nothing, if the state has changed since.
    pub fn record(&self, ticket: Ticket, now: Moment, verdict: Verdict) {
        self.machine.record(&ticket, now, verdict);
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.machine.name()
    }

    /// The state it is in. An open breaker stays open until a call asks after its open time.
    #[must_use]
    pub fn state(&self) -> State {
        self.machine.state()
    }

    /// What the window holds at `now`; empty unless closed.
    #[must_use]
    pub fn counts(&self, now: Moment) -> Counts {
        self.machine.counts(now)
    }

    /// Above which duration a call counts as slow at present.
    #[must_use]
    pub fn slow_above(&self) -> Duration {
        self.machine.slow_above()
    }

    /// Refuses every call until [`reset`](Self::reset): an operator takes a dependency out.
    pub fn force_open(&self) {
        self.machine.force(State::ForcedOpen, Moment::now());
    }

    /// Lets every call out and never opens until [`reset`](Self::reset): the off switch.
    pub fn force_closed(&self) {
        self.machine.force(State::ForcedClosed, Moment::now());
    }

    /// Closes it with an empty window, whatever state it was in.
    pub fn reset(&self) {
        self.machine.force(State::Closed, Moment::now());
    }

    /// A tower layer over this very breaker.
    #[must_use]
    pub fn layer(&self) -> GuardLayer<Self> {
        GuardLayer(self.clone())
    }
}

impl BreakerBuilder {
    /// Opens when `trips` says so, instead of by the rates and the least number of calls.
    ///
    /// Asked after each failed or slow call of the closed state, without a lock held.
    #[must_use]
    pub fn ready_to_trip(
        mut self,
        trips: impl Fn(&Counts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.trips = Some(Box::new(trips));
        self
    }

    /// Calls `listener` after each change of state, without a lock held.
    ///
    /// Changes that follow each other at once may be told in another order; [`Change::generation`] counts them.
    #[must_use]
    pub fn on_state_change(mut self, listener: impl Fn(&Change) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    /// Takes the open time's jitter from `dice`.
    #[must_use]
    pub fn dice(mut self, dice: Dice) -> Self {
        self.dice = dice;
        self
    }

    /// The breaker, closed, now.
    #[must_use]
    pub fn build(self) -> Breaker {
        self.build_at(Moment::now())
    }

    /// The breaker, closed since `now`.
    #[must_use]
    pub fn build_at(self, now: Moment) -> Breaker {
        Breaker {
            machine: Arc::new(Machine::new(self, now)),
        }
    }
}

impl Guard for Breaker {
    async fn guard<T: Send, E: Send>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, Failure<E>> {
        self.call(call).await
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BreakerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerBuilder")
            .field("name", &self.name)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
