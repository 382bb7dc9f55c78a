use std::collections::HashMap;
use std::future::{Future, ready};
use std::pin::Pin;
use std::time::Duration;

use parking_lot::Mutex;
use stanchion::resilience::Refusal;
use stanchion::resilience::rate::{KeyLimit, RateSettings};

use super::STREAK_EVERY;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Series of failures by key, counted by this process alone. They do not end with time; the oldest are forgotten for want of
/// room, so that invented names cannot shut known ones out.
#[derive(Debug)]
pub(super) struct Streaks {
    failures_max: u32,
    keys_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    series: HashMap<String, Series>,
    /// One more with each failure: what is oldest is told by it.
    turn: u64,
}

#[derive(Debug, Clone, Copy)]
struct Series {
    failures: u32,
    last: u64,
}

impl Streaks {
    pub(super) fn new(failures_max: u32, keys_max: usize) -> Self {
        Self {
            failures_max,
            keys_max,
            kept: Mutex::default(),
        }
    }

    fn fail(&self, key: &str, failures: u32) -> Result<(), Refusal> {
        let mut kept = self.kept.lock();
        kept.turn += 1;
        let last = kept.turn;
        let before = kept.series.get(key).map_or(0, |series| series.failures);
        let failures = before.saturating_add(failures);
        if failures > self.failures_max {
            return Err(Refusal::RateLimited {
                retry_after: STREAK_EVERY,
            });
        }
        if before == 0 && kept.series.len() >= self.keys_max {
            kept.forget_half();
        }
        kept.series
            .insert(key.to_owned(), Series { failures, last });
        Ok(())
    }

    fn forgive(&self, key: &str, failures: u32) {
        let mut kept = self.kept.lock();
        let Some(series) = kept.series.get_mut(key) else {
            return;
        };
        series.failures = series.failures.saturating_sub(failures);
        if series.failures == 0 {
            kept.series.remove(key);
        }
    }
}

impl Kept {
    /// Half at a time: it is seldom done, and cheap for each of those that come.
    fn forget_half(&mut self) {
        let mut turns: Vec<u64> = self.series.values().map(|series| series.last).collect();
        let middle = turns.len() / 2;
        let (_, middle, _) = turns.select_nth_unstable(middle);
        let middle = *middle;
        self.series.retain(|_, series| series.last > middle);
    }
}

impl KeyLimit for Streaks {
    fn take<'a>(&'a self, key: &'a str, cost: u32) -> Boxed<'a, Result<(), Refusal>> {
        Box::pin(ready(self.fail(key, cost)))
    }

    fn give_back<'a>(&'a self, key: &'a str, cost: u32) -> Boxed<'a, ()> {
        self.forgive(key, cost);
        Box::pin(ready(()))
    }

    fn quota(&self) -> RateSettings {
        let every: Duration = STREAK_EVERY;
        super::rate(self.failures_max, every, self.keys_max)
    }

    fn keys(&self) -> usize {
        self.kept.lock().series.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_ends_with_a_success_and_not_with_time() {
        let streaks = Streaks::new(3, 100);
        for _ in 0..3 {
            assert!(streaks.fail("ann", 1).is_ok());
        }
        assert!(streaks.fail("ann", 1).is_err() && streaks.fail("bob", 1).is_ok());
        streaks.forgive("ann", 3);
        assert!(streaks.fail("ann", 3).is_ok());
    }

    #[test]
    fn for_want_of_room_the_oldest_are_forgotten() {
        let streaks = Streaks::new(3, 100);
        assert!(streaks.fail("ann", 3).is_ok());
        for name in 0..1_000 {
            assert!(streaks.fail(&name.to_string(), 1).is_ok(), "{name}");
            assert!(streaks.keys() <= 100);
        }
        assert!(streaks.fail("ann", 1).is_ok());
        assert!(streaks.fail("999", 2).is_ok() && streaks.fail("999", 1).is_err());
    }
}
