//! A token bucket in one word.

use super::sync::{AtomicU64, Ordering};

/// Tokens that come back with time, as the one number of GCRA: the theoretical arrival time (ITU-T I.371).
///
/// A token is worth a span of time. `room` is the span the bucket can hold, `cost` the span a call takes; the
/// bucket holds `now + room - arrival`, at most `room`. All in nanoseconds.
#[derive(Debug)]
pub(crate) struct Cell {
    arrival: AtomicU64,
}

impl Cell {
    /// A bucket that is full at `now` when `arrival` is not after it.
    pub(crate) fn new(arrival: u64) -> Self {
        Cell {
            arrival: AtomicU64::new(arrival),
        }
    }

    /// Takes `cost` out, or says in how many nanoseconds there will be enough.
    pub(crate) fn take(&self, now: u64, cost: u64, room: u64) -> Result<(), u64> {
        let mut arrival = self.arrival.load(Ordering::Relaxed);
        loop {
            let next = taken(arrival, now, cost, room)?;
            // The word is the whole state: no other memory is published by it.
            match self.arrival.compare_exchange_weak(
                arrival,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(other) => arrival = other,
            }
        }
    }

    /// Whether it was found full and nothing has been taken since: then there is nothing to give, at any time.
    pub(crate) fn is_untouched(&self) -> bool {
        self.arrival.load(Ordering::Relaxed) == 0
    }

    /// Puts `gift` in; what does not fit is lost.
    pub(crate) fn give(&self, now: u64, gift: u64) {
        let mut arrival = self.arrival.load(Ordering::Relaxed);
        // A full bucket, the healthy case, costs one load.
        while arrival != 0 {
            let next = arrival.saturating_sub(gift);
            // Full: noted as such for good, so that the next one need not know the time.
            let next = if next <= now { 0 } else { next };
            match self.arrival.compare_exchange_weak(
                arrival,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(other) => arrival = other,
            }
        }
    }

    /// What is in it.
    pub(crate) fn holds(&self, now: u64, room: u64) -> u64 {
        let arrival = self.arrival.load(Ordering::Relaxed);
        room.saturating_sub(arrival.saturating_sub(now))
    }
}

/// The arrival time after taking `cost`; the error is the wait until that fits.
pub(crate) fn taken(arrival: u64, now: u64, cost: u64, room: u64) -> Result<u64, u64> {
    let next = arrival.max(now).saturating_add(cost);
    let latest = now.saturating_add(room);
    if next <= latest {
        Ok(next)
    } else {
        Err(next - latest)
    }
}
