//! Deadline, retry with budget, hedge, breaker, bulkhead, rate and adaptive limits: one policy a dependency.
//!
//! Each is three things over one state: a **core** that decides without I/O and without a runtime (state and a
//! [`Moment`] in, decision out; chance comes in as [`Dice`]), an **async function**, and a **tower layer**.
//! [`policy`] composes them in the one right order; take single ones where you need no more.
//!
//! | module | is |
//! |---|---|
//! | [`policy`] | all that guards the calls to one dependency |
//! | [`deadline`] | an absolute end that travels with the request |
//! | [`origin`] | the request on whose behalf a task works: what calls to others pass on |
//! | [`timeout`] | how long one attempt may take |
//! | [`retry`], [`budget`] | once more, when that is safe, useful and paid for |
//! | [`hedge`] | a second try beside a slow read |
//! | [`breaker`] | stops calling what does not answer, lets it recover |
//! | [`throttle`] | spares a dependency that refuses most calls the rest |
//! | [`bulkhead`] | how many calls at a time |
//! | [`adaptive`], [`codel`] | the same number found by measuring; a queue that stays short, important first |
//! | [`rate`] | how many calls a second, for each key |
//! | [`pool`] | jobs on a bounded number of workers |
//! | [`single_flight`] | many who want the same make one call |
//! | [`outlier`] | leaves out the hosts that fail while others work |
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
