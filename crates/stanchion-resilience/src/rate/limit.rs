//! A limit for each key, wherever it is counted.

use std::fmt;

use futures_util::future::BoxFuture;

use super::{KeyedRate, RateSettings};
use crate::{Moment, Refusal};

/// How much each key may do, whoever counts it: this process ([`KeyedRate`]), or one place for all processes.
///
/// What is counted before it is known whether it matters can be given back: of logins only those that fail count.
pub trait KeyLimit: fmt::Debug + Send + Sync + 'static {
    /// Takes `cost` calls of `key` out. A cost above the burst never passes.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] with the wait until it would.
    fn take<'a>(&'a self, key: &'a str, cost: u32) -> BoxFuture<'a, Result<(), Refusal>>;

    /// Gives calls back; what is more than the key owes is lost. Lost on the way, they were taken for good.
    fn give_back<'a>(&'a self, key: &'a str, cost: u32) -> BoxFuture<'a, ()>;

    /// Rate and burst of each key, as a caller that is refused is told.
    fn quota(&self) -> RateSettings;

    /// Keys that this process remembers at present.
    fn keys(&self) -> usize;
}

impl KeyLimit for KeyedRate<String> {
    fn take<'a>(&'a self, key: &'a str, cost: u32) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(std::future::ready(self.check(key, Moment::now(), cost)))
    }

    fn give_back<'a>(&'a self, key: &'a str, cost: u32) -> BoxFuture<'a, ()> {
        KeyedRate::give_back(self, key, cost);
        Box::pin(std::future::ready(()))
    }

    fn quota(&self) -> RateSettings {
        self.settings()
    }

    fn keys(&self) -> usize {
        KeyedRate::keys(self)
    }
}

impl RateSettings {
    /// What one of so many processes may do that count each for itself: together they allow the whole. Rounded up, since
    /// a burst of nothing would refuse everything.
    #[must_use]
    pub fn part_of(&self, processes: u32) -> RateSettings {
        let processes = processes.max(1);
        RateSettings {
            per_second: self.per_second / f64::from(processes),
            burst: self.burst.div_ceil(processes),
            keys_max: self.keys_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> RateSettings {
        RateSettings {
            per_second: 0.001,
            burst: 3,
            ..RateSettings::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_was_never_taken_and_more_is_lost() {
        let rate: KeyedRate<String> = KeyedRate::new(&three());
        for _ in 0..10 {
            assert!(KeyLimit::take(&rate, "ann", 1).await.is_ok());
            KeyLimit::give_back(&rate, "ann", 1).await;
        }
        KeyLimit::give_back(&rate, "ann", 1_000).await;
        KeyLimit::give_back(&rate, "nobody", 1_000).await;
        for key in ["ann", "nobody"] {
            assert!(KeyLimit::take(&rate, key, 3).await.is_ok(), "{key}");
            assert!(KeyLimit::take(&rate, key, 1).await.is_err(), "{key}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_tells_what_a_key_may_do() {
        let quota = KeyedRate::<String>::new(&three()).quota();
        assert_eq!(quota.burst, 3);
        assert!((quota.per_second - 0.001).abs() < 1e-9, "{quota:?}");
    }

    #[test]
    fn a_part_is_never_nothing() {
        let part = three().part_of(4);
        assert_eq!(part.burst, 1);
        assert!((part.per_second - 0.00025).abs() < 1e-9);
    }
}
