//! The rate of a key: when its next message may be handled that was not tried before, wherever it comes from.

use std::time::Duration;

use tokio::time::Instant;

use super::flight::Work;
use super::follow::Follow;
use crate::Parked;

/// Keys whose rate is remembered, at most, before those that may go on are forgotten.
const PACED_MAX: usize = 10_000;

impl Follow<'_> {
    /// When a message may be handled; one that is put aside without an attempt is not waited with.
    pub(super) fn starts(&mut self, work: &Work) -> Option<Instant> {
        match work.blocked || work.given_up {
            true => None,
            false => self.pace(&work.message.key),
        }
    }

    /// Until when the rate of its key holds back what was put aside, if it does; else its attempt is counted in that. What has
    /// failed has waits of its own.
    pub(super) fn held_until(&mut self, parked: &Parked) -> Option<Instant> {
        if parked.attempts > 0 {
            return None;
        }
        let now = Instant::now();
        let next = self.paced.get(&parked.message.key).copied();
        let held = next.filter(|next| *next > now);
        if held.is_none() {
            self.pace(&parked.message.key);
        }
        held
    }

    /// When a key's next message may be handled.
    fn pace(&mut self, key: &str) -> Option<Instant> {
        let per_second = self.consumer.limits.rate_per_key?;
        let now = Instant::now();
        if self.paced.len() >= PACED_MAX {
            self.paced.retain(|_, next| *next > now);
        }
        let next = self.paced.entry(key.to_owned()).or_insert(now);
        let start = (*next).max(now);
        *next = start + Duration::from_secs_f64(1.0 / f64::from(per_second.max(1)));
        Some(start)
    }
}
