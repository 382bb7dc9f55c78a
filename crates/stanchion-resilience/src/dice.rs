//! Chance as a parameter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stanchion_runtime::random;

use crate::moment::nanos;

/// Where a core takes its chance from: the system, or a seed that gives the same run again.
#[derive(Debug, Clone, Default)]
pub struct Dice {
    /// The counter of a `SplitMix64` generator (Steele, Lea, Flood 2014); none means the system's generator.
    seeded: Option<Arc<AtomicU64>>,
}

impl Dice {
    /// Real chance, from `stanchion_runtime::random`.
    #[must_use]
    pub fn system() -> Self {
        Dice::default()
    }

    /// The same throws for the same seed; clones share the sequence. For tests and simulations.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Dice {
            seeded: Some(Arc::new(AtomicU64::new(seed))),
        }
    }

    /// Any number, all equally likely.
    #[must_use]
    pub fn number(&self) -> u64 {
        match &self.seeded {
            None => u64::from_ne_bytes(random::bytes()),
            Some(counter) => {
                const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
                mixed(
                    counter
                        .fetch_add(GOLDEN, Ordering::Relaxed)
                        .wrapping_add(GOLDEN),
                )
            }
        }
    }

    /// A number from 0 up to, but without, 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A span from nothing to `max`: full jitter.
    #[must_use]
    pub fn within(&self, max: Duration) -> Duration {
        Duration::from_nanos((nanos(max) as f64 * self.share()) as u64)
    }

    /// `middle`, give or take up to `spread` of it: 0.2 is ± 20 %.
    #[must_use]
    pub fn around(&self, middle: Duration, spread: f64) -> Duration {
        let factor = 1.0 + spread * (2.0 * self.share() - 1.0);
        Duration::from_nanos((nanos(middle) as f64 * factor.max(0.0)) as u64)
    }
}

fn mixed(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_throws() {
        let throws = |seed| {
            let dice = Dice::seeded(seed);
            std::array::from_fn::<_, 8, _>(|_| dice.number())
        };
        assert_eq!(throws(7), throws(7));
        assert_ne!(throws(7), throws(8));
        assert_ne!(Dice::system().number(), Dice::system().number());
    }

    #[test]
    fn throws_stay_within_their_bounds_and_spread() {
        for dice in [Dice::seeded(1), Dice::system()] {
            let second = Duration::from_secs(1);
            let waits: Vec<_> = (0..1_000).map(|_| dice.within(second)).collect();
            assert!(waits.iter().all(|wait| *wait <= second));
            assert!(waits.iter().any(|wait| *wait < second / 10));
            assert!(waits.iter().any(|wait| *wait > second * 9 / 10));
            let opens: Vec<_> = (0..1_000).map(|_| dice.around(second, 0.2)).collect();
            assert!(
                opens
                    .iter()
                    .all(|open| *open >= second * 8 / 10 && *open <= second * 12 / 10)
            );
        }
    }
}
