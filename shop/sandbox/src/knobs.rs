//! What can be made to go wrong, repeatably.

use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The longest latency that can be asked for, in milliseconds.
const LATENCY_MS_MAX: u64 = 600_000;

/// What goes wrong on purpose. `POST /knobs` with this as JSON sets all of them, `GET /knobs` shows them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Knobs {
    /// Every answer waits this long, in milliseconds; at most 600,000.
    pub latency_ms: u64,
    /// How often a call fails with 500 before it had any effect, from 0 to 1.
    pub error_rate: f64,
    /// How often a call takes effect and the connection is cut instead of an answer, from 0 to 1.
    pub lose_answer_rate: f64,
    /// Where the chances start: the same seed and the same calls, the same failures.
    pub seed: u64,
}

/// What is to happen to one call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fate {
    pub(crate) latency: Duration,
    pub(crate) fails: bool,
    pub(crate) loses_answer: bool,
}

pub(crate) struct Chances {
    state: Mutex<(Knobs, u64)>,
}

impl Knobs {
    /// What is wrong with them, if something is.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let is_rate = |rate: f64| (0.0..=1.0).contains(&rate);
        if !is_rate(self.error_rate) {
            Some("error_rate is a number from 0 to 1")
        } else if !is_rate(self.lose_answer_rate) {
            Some("lose_answer_rate is a number from 0 to 1")
        } else if self.latency_ms > LATENCY_MS_MAX {
            Some("latency_ms is at most 600000")
        } else {
            None
        }
    }
}

impl Chances {
    pub(crate) fn new(knobs: Knobs) -> Self {
        Self {
            state: Mutex::new((knobs, knobs.seed)),
        }
    }

    pub(crate) fn set(&self, knobs: Knobs) {
        *self.state.lock() = (knobs, knobs.seed);
    }

    pub(crate) fn knobs(&self) -> Knobs {
        self.state.lock().0
    }

    /// Draws what happens to the next call.
    pub(crate) fn draw(&self) -> Fate {
        let mut state = self.state.lock();
        let (knobs, seed) = &mut *state;
        let fails = next(seed) < knobs.error_rate;
        let loses_answer = next(seed) < knobs.lose_answer_rate;
        Fate {
            latency: Duration::from_millis(knobs.latency_ms),
            fails,
            loses_answer,
        }
    }
}

/// SplitMix64: small, well spread, and the same everywhere; nothing secret hangs on it.
fn next(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(seed: u64) -> Vec<Fate> {
        let chances = Chances::new(Knobs {
            error_rate: 0.3,
            lose_answer_rate: 0.3,
            seed,
            ..Knobs::default()
        });
        (0..200).map(|_| chances.draw()).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_fates() {
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
        let fails = draws(7).iter().filter(|fate| fate.fails).count();
        assert!((30..90).contains(&fails), "{fails} of 200 fail");
    }

    #[test]
    fn nothing_goes_wrong_unless_asked() {
        let chances = Chances::new(Knobs::default());
        let calm = |fate: Fate| !fate.fails && !fate.loses_answer && fate.latency.is_zero();
        assert!((0..1_000).all(|_| calm(chances.draw())));
    }

    #[test]
    fn rates_are_chances() {
        let knobs = Knobs {
            error_rate: 1.5,
            ..Knobs::default()
        };
        assert!(knobs.problem().is_some());
    }
}
