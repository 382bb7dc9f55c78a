//! Deadline, retry with budget, hedge, breaker, bulkhead, rate and adaptive limits: one policy a dependency.
//!
//! Each is three things over one state: a **core** that decides without I/O and without a runtime (state and a
//! [`Moment`] in, decision out; chance comes in as [`Dice`]), an **async function**, and a **tower layer**.
//! [`policy`] composes them in the one right order; take single ones where you need no more.
//!
//! | module | is | core | async | tower |
//! |---|---|---|---|---|
//! | [`policy`] | all that guards the calls to one dependency | its parts | `call` | `layer` |
//! | [`deadline`] | an absolute end that travels with the request | `for_hop` | `call` | `layer`, [`GuardByLayer`] |
//! | [`origin`] | the request on whose behalf a task works: what calls to others pass on | – | `scope` | – |
//! | [`timeout`] | how long one attempt may take | a span | `call` | `layer` |
//! | [`retry`] | once more, when that is safe and useful | `next` | `call` | `layer` |
//! | [`budget`] | what retries and hedges may cost | `deposit`, `withdraw` | within the two | within the two |
//! | [`hedge`] | a second try beside a slow read | `begun`, `wait`, `spend`, `learn` | `call` | `layer` |
//! | [`breaker`] | stops calling what does not answer, lets it recover | `try_acquire`, `record` | `call` | `layer` |
//! | [`throttle`] | spares a dependency that refuses most calls the rest | `admit`, `accepted`, `not_accepted`, `forgotten` | `call` | `layer` |
//! | [`bulkhead`] | how many calls at a time | `try_enter` | `call`, `enter`, `spawn` | `layer` |
//! | [`adaptive`] | the same number found by measuring | `Gradient`, `try_enter` | `call`, `enter` | `layer`, `layer_by` |
//! | [`codel`] | a queue that stays short, important first | `Codel` | `CodelGate::call` | `layer`, `layer_by` |
//! | [`rate`] | how many calls a second, for each key | `check` | `call` | `layer` |
//! | [`pool`] | jobs on a bounded number of workers | `try_submit` | `submit`, `call` | `layer` |
//! | [`single_flight`] | many who want the same make one call | of futures alone | `call` | `layer` |
//! | [`outlier`] | leaves out the hosts that fail while others work | `admit`, `record` | `call` | `layer` |
//!
//! What is refused here is a [`Refusal`] and never a failure of the dependency. Nothing survives a restart: all state
//! is in memory, and starts closed, full and empty.

pub mod adaptive;
pub mod breaker;
pub mod budget;
pub mod bulkhead;
pub mod codel;
pub mod deadline;
pub mod hedge;
pub mod origin;
pub mod outlier;
pub mod policy;
pub mod pool;
pub mod rate;
pub mod retry;
pub mod single_flight;
pub mod throttle;
pub mod timeout;

mod atomic;
mod dice;
mod failure;
mod guard;
mod moment;
mod observe;
mod priority;

pub use dice::Dice;
pub use failure::{Failure, Refusal};
pub use guard::{Guard, GuardByLayer, GuardLayer, Guarded, GuardedBy};
pub use moment::Moment;
pub use priority::Priority;
