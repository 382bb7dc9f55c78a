//! Retry: once more, when that is safe, useful and paid for.
//!
//! A call is sent again only if all of this holds, asked in this order:
//! 1. the error is of a class that can pass ([`Retryable`]), and an unknown outcome only if the call may be repeated;
//! 2. there are attempts left;
//! 3. the wait ends with more than the [floor](crate::deadline::FLOOR) before the deadline;
//! 4. the [budget](crate::budget) pays for it.
//!
//! The wait is *full jitter*: anything from nothing to `min(cap, base · 2ⁿ)` (Brooker, AWS Architecture Blog 2015),
//! or what the server asks for, plus a jitter of `base` so that its clients do not come back at one instant.
//! Retry in one tier only: three tiers with three attempts each make 27 calls of one.

mod class;
mod date;
mod layer;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use class::Retryable;
pub use date::http_date;
pub use layer::{RetryLayer, RetryRule, Retrying};

use crate::budget::{Budget, BudgetSettings};
use crate::deadline::{Deadline, FLOOR};
use crate::{Dice, Moment, Priority, Refusal};

/// The HTTP header of an answer that says `false` where it was tried again already, nearer to what failed; over gRPC that is
/// `grpc-retry-pushback-ms: -1`.
pub const HEADER: &str = "x-should-retry";

stanchion_config::settings! {
    /// How often and when a failed call is sent again.
    pub struct RetrySettings {
        /// Attempts in all, the first included; 1 switches retries off.
        #[range(1..=5)]
        pub attempts: u32 = 3,
        /// The bound of the first wait; it doubles with each attempt.
        #[range("1ms"..="1m")]
        pub base: Duration = "50ms",
        /// The same for a server that says it is overloaded.
        #[range("1ms"..="1m")]
        pub base_throttled: Duration = "1s",
        /// No wait is longer, and a server that asks for more is taken at its word: no retry.
        #[range("1ms"..="10m")]
        pub cap: Duration = "5s",
        /// What retries may cost.
        pub budget: BudgetSettings = section,
    }
}

/// What a caller allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// When it stops waiting.
    pub deadline: Deadline,
    /// What sending it twice would do.
    pub effect: Effect,
    /// How much it matters, where load is shed.
    pub priority: Priority,
}

/// What sending a call twice does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it changes nothing. The only kind that is [hedged](crate::hedge).
    Read,
    /// The same as sending it once: it carries an idempotency key, or sets what is set already.
    Repeatable,
    /// Something more: it is sent again only if it surely was not done.
    Once,
}

/// A retry policy; clones share budget and chance.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use stanchion_resilience::retry::{Retry, RetrySettings, Retryable, Terms};
///
/// let retry = Retry::new(&RetrySettings::default());
/// let answer = retry
///     .call(Terms::repeatable(), |_: &String| Retryable::unknown(), |attempt| async move {
///         if attempt < 3 { Err("reset".to_owned()) } else { Ok(attempt) }
///     })
///     .await;
/// assert_eq!(answer.unwrap(), 3);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Retry {
    settings: Arc<RetrySettings>,
    budget: Budget,
    dice: Dice,
}

/// Why there was no further attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// Sending it again would give the same.
    #[error("it would fail again")]
    Final,
    /// It may have taken effect, and must not do so twice.
    #[error("it may have taken effect")]
    NotRepeatable,
    /// All attempts were made.
    #[error("no attempt is left")]
    Attempts,
    /// The deadline comes before the next attempt.
    #[error("no time is left")]
    Deadline,
    /// The retry budget is used up.
    #[error("the retry budget is used up")]
    Budget,
    /// Something on the way refused the next attempt: the breaker opened, the bulkhead is full.
    #[error("the next was not sent: {0}")]
    Refused(Refusal),
}

/// The last error, and why it is the last.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{last} (attempt {attempts}; {stopped})")]
pub struct GaveUp<E> {
    /// What the last attempt that was sent gave; a refusal only when none was.
    pub last: E,
    /// How many attempts were sent, or 1.
    pub attempts: u32,
    /// Why there was no other.
    pub stopped: Stopped,
}

impl Retry {
    /// A policy with a budget of its own.
    #[must_use]
    pub fn new(settings: &RetrySettings) -> Self {
        Retry::with(settings, Budget::new(&settings.budget), Dice::system())
    }

    /// A policy with a shared budget and given chance.
    #[must_use]
    pub fn with(settings: &RetrySettings, budget: Budget, dice: Dice) -> Self {
        Retry {
            settings: Arc::new(settings.clone()),
            budget,
            dice,
        }
    }

    /// The budget it pays from.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The core: how long to wait before attempt `sent + 1`, after attempt `sent` failed at `now`.
    ///
    /// # Errors
    /// Why there will be none. A token is taken from the budget only for an attempt that will be made.
    pub fn next(
        &self,
        sent: u32,
        retryable: Retryable,
        terms: &Terms,
        now: Moment,
    ) -> Result<Duration, Stopped> {
        retryable.allowed(terms.effect)?;
        if sent >= self.settings.attempts {
            return Err(Stopped::Attempts);
        }
        let wait = self.wait(sent, retryable)?;
        if terms.deadline.left(now + wait) <= FLOOR {
            return Err(Stopped::Deadline);
        }
        if !self.budget.withdraw(now) {
            return Err(Stopped::Budget);
        }
        Ok(wait)
    }

    /// Calls until it succeeds or [`next`](Self::next) says stop; `call` is given the attempt's number, from 1,
    /// to pass on in a header.
    ///
    /// # Errors
    /// The last error, with the reason why there was no other attempt.
    pub async fn call<T, E, F>(
        &self,
        terms: Terms,
        classify: impl Fn(&E) -> Retryable,
        mut call: impl FnMut(u32) -> F,
    ) -> Result<T, GaveUp<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.call_refusable(terms, classify, |_| None, &mut call)
            .await
    }

    /// The same, where something on the way may refuse an attempt: what earlier ones gave is then not forgotten. "Not
    /// sent" would be a lie about a call whose first attempt may have taken effect. What the refused one cost is given back.
    pub(crate) async fn call_refusable<T, E, F>(
        &self,
        terms: Terms,
        classify: impl Fn(&E) -> Retryable,
        refused: impl Fn(&E) -> Option<Refusal>,
        mut call: impl FnMut(u32) -> F,
    ) -> Result<T, GaveUp<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.budget.deposit_now();
        let (mut sent, mut before) = (0, None);
        loop {
            let error = match call(sent + 1).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if let (Some(refusal), Some(last)) = (refused(&error), before) {
                self.budget.give_back(Moment::now());
                return Err(gave_up(last, sent, Stopped::Refused(refusal)));
            }
            sent += 1;
            match self.next(sent, classify(&error), &terms, Moment::now()) {
                Ok(wait) => {
                    let unsent = Unsent(&self.budget);
                    tokio::time::sleep(wait).await;
                    std::mem::forget(unsent);
                }
                Err(stopped) => return Err(gave_up(error, sent, stopped)),
            }
            before = Some(error);
        }
    }

    /// A tower layer over this policy; `rule` knows the requests and errors.
    pub fn layer<R>(&self, rule: R) -> RetryLayer<R> {
        RetryLayer::new(self.clone(), rule)
    }

    fn wait(&self, sent: u32, retryable: Retryable) -> Result<Duration, Stopped> {
        let settings = &self.settings;
        if let Some(asked) = retryable.asked() {
            if asked > settings.cap {
                return Err(Stopped::Final);
            }
            return Ok(asked + self.dice.within(settings.base));
        }
        let base = match retryable {
            Retryable::Throttled { .. } => settings.base_throttled,
            _ => settings.base,
        };
        let doubled = base.saturating_mul(1 << (sent.clamp(1, 32) - 1));
        Ok(self.dice.within(doubled.min(settings.cap)))
    }
}

/// A retry that is paid for and waits: its caller goes away meanwhile, and the budget has it back.
struct Unsent<'b>(&'b Budget);

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        self.0.give_back(Moment::now());
    }
}

fn gave_up<E>(last: E, attempts: u32, stopped: Stopped) -> GaveUp<E> {
    GaveUp {
        last,
        attempts,
        stopped,
    }
}

impl Terms {
    /// A read without a deadline.
    #[must_use]
    pub fn read() -> Self {
        Terms::of(Effect::Read)
    }

    /// No deadline, and the call may be repeated.
    #[must_use]
    pub fn repeatable() -> Self {
        Terms::of(Effect::Repeatable)
    }

    /// No deadline, and the call must not take effect twice.
    #[must_use]
    pub fn once() -> Self {
        Terms::of(Effect::Once)
    }

    /// The same, until `deadline`.
    #[must_use]
    pub fn until(self, deadline: Deadline) -> Self {
        Terms { deadline, ..self }
    }

    /// The same, of that priority; normal unless said otherwise.
    #[must_use]
    pub fn of_priority(self, priority: Priority) -> Self {
        Terms { priority, ..self }
    }

    fn of(effect: Effect) -> Self {
        Terms {
            deadline: Deadline::NONE,
            effect,
            priority: Priority::default(),
        }
    }
}
