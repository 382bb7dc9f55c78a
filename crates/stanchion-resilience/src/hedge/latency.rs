//! The live percentile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::HedgeSettings;
use crate::moment::nanos;

/// A percentile over the last [`CALLS`] calls, worked out anew after each [`EVERY`]th.
#[derive(Debug)]
pub(super) struct Latency {
    calls: Mutex<Calls>,
    /// Nanoseconds; zero means not known yet.
    percentile: AtomicU64,
    share: f64,
    calls_min: usize,
}

#[derive(Debug)]
struct Calls {
    nanos: Vec<u64>,
    seen: usize,
}

const CALLS: usize = 128;
const EVERY: usize = 32;

impl Latency {
    pub(super) fn new(settings: &HedgeSettings) -> Self {
        Latency {
            calls: Mutex::new(Calls {
                nanos: Vec::with_capacity(CALLS),
                seen: 0,
            }),
            percentile: AtomicU64::new(0),
            share: settings.percentile,
            calls_min: (settings.calls_min as usize).min(CALLS),
        }
    }

    pub(super) fn percentile(&self) -> Option<Duration> {
        let nanos = self.percentile.load(Ordering::Relaxed);
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }

    pub(super) fn learn(&self, took: Duration) {
        let mut calls = self.calls.lock();
        let place = calls.seen % CALLS;
        let took = nanos(took).max(1);
        if calls.nanos.len() < CALLS {
            calls.nanos.push(took);
        } else {
            calls.nanos[place] = took;
        }
        calls.seen += 1;
        let is_known = calls.seen >= self.calls_min;
        if is_known && (calls.seen == self.calls_min || calls.seen.is_multiple_of(EVERY)) {
            let mut sorted = calls.nanos.clone();
            let rank = ((sorted.len() as f64 * self.share) as usize).min(sorted.len() - 1);
            let percentile = *sorted.select_nth_unstable(rank).1;
            self.percentile.store(percentile, Ordering::Relaxed);
        }
    }
}
