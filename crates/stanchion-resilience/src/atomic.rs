//! The hand-made atomics of this crate, and nothing else, so that `proofs` can try every interleaving of them.
//!
//! `proofs.rs` compiles the same files a second time over loom's atomics; that is why they take theirs from
//! `super::sync` and know nothing of the rest of the crate. It runs with the ordinary tests, without a `cfg`.
//! The whole breaker, too large for that, runs under random schedules in `breaker/tests/schedules.rs`.
//! `docs/concurrency.md` lists every atomic of the project, with what proves it.

mod cell;
#[cfg(test)]
#[allow(
    clippy::duplicate_mod,
    reason = "loom must try what runs, not a copy of it"
)]
mod proofs;
mod ring;
mod standing;
mod turnstile;

pub(crate) use cell::{Cell, taken};
pub(crate) use ring::Ring;
pub(crate) use standing::Standing;
pub(crate) use turnstile::{Asked, Had, Turnstile};

mod sync {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};

    pub(super) use parking_lot::Mutex;
}
