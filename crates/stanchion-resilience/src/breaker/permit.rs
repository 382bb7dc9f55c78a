//! Leave for one call that cannot be forgotten.

use crate::Moment;

use super::{Breaker, Ticket, Verdict};

/// Leave for one call: settle it with a verdict, or drop it.
///
/// Dropped unsettled it says nothing about the dependency, for the caller went away; dropped by a panic it says
/// failure. Either way a probe's place is free again.
#[derive(Debug)]
#[must_use = "a dropped permit counts as a cancelled call"]
pub struct Permit<'b> {
    breaker: &'b Breaker,
    ticket: Ticket,
}

impl<'b> Permit<'b> {
    pub(super) fn new(breaker: &'b Breaker, ticket: Ticket) -> Self {
        Permit { breaker, ticket }
    }

    /// The call has ended now, and this is what it says.
    pub fn settle(self, verdict: Verdict) {
        self.settle_at(Moment::now(), verdict);
    }

    /// The same at `now`, where the clock has been read already.
    pub fn settle_at(self, now: Moment, verdict: Verdict) {
        self.breaker.machine.record(&self.ticket, now, verdict);
        // Settled; there is nothing to free.
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let verdict = if std::thread::panicking() {
            Verdict::Failure
        } else {
            Verdict::Ignored
        };
        self.breaker
            .machine
            .record(&self.ticket, Moment::now(), verdict);
    }
}
