//! Deadline, retry with budget, hedge, breaker, bulkhead, rate and adaptive limits.
//!
//! Each policy is three things over one state: a **core** that decides without I/O and without a runtime (state
//! and a [`Moment`] in, decision out; chance comes in as [`Dice`]), an **async function**, and a **tower layer**.
//!
//! | module | is |
//! |---|---|
//! | [`breaker`] | stops calling what does not answer, lets it recover |
//!
//! Nothing here survives a restart: all state is in memory, and starts closed, full and empty.

pub mod breaker;

mod atomic;
mod dice;
mod failure;
mod guard;
mod moment;

pub use dice::Dice;
pub use failure::{Failure, Refusal};
pub use guard::{Guard, GuardLayer, Guarded};
pub use moment::Moment;
