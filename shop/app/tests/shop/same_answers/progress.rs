//! How far a run is, where its time goes, and its end if it takes too long.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// How often it is said how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);

pub(crate) struct Progress {
    requests: u64,
    within: Duration,
    begun: Instant,
    told: Instant,
    done: u64,
    /// Orders that were waited for until they were settled.
    settled: u64,
    waiting: Duration,
    /// What was asked again until both had settled.
    settling: Duration,
}

impl Progress {
    pub(crate) fn new(requests: u64, minutes: u64) -> Self {
        let now = Instant::now();
        Self {
            requests,
            within: Duration::from_secs(60 * minutes),
            begun: now,
            told: now,
            done: 0,
            settled: 0,
            waiting: Duration::ZERO,
            settling: Duration::ZERO,
        }
    }

    /// One request more; whether it waited for an order, how long it took, and for how long both differed.
    pub(crate) fn took(&mut self, waits: bool, took: Duration, settling: Duration) {
        self.done += 1;
        self.settling += settling;
        if waits {
            self.settled += 1;
            self.waiting += took;
        }
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            println!("{self}");
        }
        assert!(self.begun.elapsed() < self.within, "too slow: {self}");
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (begun, each) = (self.begun.elapsed(), self.settled.max(1));
        write!(
            f,
            "{} of {} requests after {:.0?}: {} orders took {:.0?} ({:.0?} each), answers that differed for a while {:.0?}",
            self.done,
            self.requests,
            begun,
            self.settled,
            self.waiting,
            self.waiting / u32::try_from(each).unwrap_or(u32::MAX),
            self.settling,
        )
    }
}
