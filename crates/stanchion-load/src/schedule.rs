//! Who is due when: decided by rate, weights and seed alone, before anything is answered.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// How requests are spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// The same time between any two.
    #[default]
    Constant,
    /// Independent callers: exponential times between, as of many users who know nothing of each other.
    Poisson,
}

/// One request that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Counted from zero.
    pub(crate) number: u64,
    /// Since the start of the run.
    pub(crate) at: Duration,
    /// Which scenario of the mix.
    pub(crate) scenario: usize,
}

/// The arrivals of a run in their order.
#[derive(Debug)]
pub(crate) struct Schedule {
    arrivals: Arrivals,
    rate: f64,
    until: Duration,
    /// Up to and with each scenario.
    weights: Vec<u64>,
    dice: StdRng,
    number: u64,
    at: Duration,
}

impl Schedule {
    /// `rate` requests a second until `until`, each of a scenario with a chance in proportion to its weight.
    pub(crate) fn new(
        arrivals: Arrivals,
        rate: f64,
        until: Duration,
        weights: impl IntoIterator<Item = u32>,
        seed: u64,
    ) -> Self {
        let mut sum = 0;
        let up_to = weights.into_iter().map(|weight| {
            sum += u64::from(weight);
            sum
        });
        Self {
            arrivals,
            rate,
            until,
            weights: up_to.collect(),
            dice: StdRng::seed_from_u64(seed),
            number: 0,
            at: Duration::ZERO,
        }
    }

    fn pick(&mut self) -> usize {
        let all = self.weights.last().copied().unwrap_or(1).max(1);
        let drawn = self.dice.random_range(0..all);
        self.weights.partition_point(|up_to| *up_to <= drawn)
    }

    fn advance(&mut self) {
        self.number += 1;
        self.at = match self.arrivals {
            // From the number, not from the last one: nothing adds up.
            Arrivals::Constant => Duration::from_secs_f64(self.number as f64 / self.rate),
            Arrivals::Poisson => {
                let share: f64 = self.dice.random();
                self.at + Duration::from_secs_f64(-(1.0 - share).ln() / self.rate)
            }
        };
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        if self.at >= self.until {
            return None;
        }
        let arrival = Arrival {
            number: self.number,
            at: self.at,
            scenario: self.pick(),
        };
        self.advance();
        Some(arrival)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn schedule(arrivals: Arrivals, seed: u64) -> Vec<Arrival> {
        Schedule::new(arrivals, 1_000.0, MINUTE, [80, 15, 5], seed).collect()
    }

    #[test]
    fn a_constant_rate_is_due_on_the_dot() {
        let all = schedule(Arrivals::Constant, 1);
        assert_eq!(all.len(), 60_000);
        assert_eq!(all[12_345].at, Duration::from_millis(12_345));
        assert_eq!(all[59_999].number, 59_999);
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread_of_their_kind() {
        let all = schedule(Arrivals::Poisson, 1);
        assert!(
            (all.len() as f64 - 60_000.0).abs() < 1_000.0,
            "{}",
            all.len()
        );
        let gaps: Vec<f64> = all
            .windows(2)
            .map(|pair| (pair[1].at - pair[0].at).as_secs_f64())
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let square = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>();
        let deviation = (square / gaps.len() as f64).sqrt();
        // Of an exponential distribution the deviation equals the mean.
        assert!((deviation / mean - 1.0).abs() < 0.05, "{deviation} {mean}");
    }

    #[test]
    fn scenarios_come_in_proportion_to_their_weights() {
        let all = schedule(Arrivals::Constant, 3);
        let count = |which| all.iter().filter(|it| it.scenario == which).count() as f64;
        for (which, share) in [(0, 0.80), (1, 0.15), (2, 0.05)] {
            let seen = count(which) / all.len() as f64;
            assert!((seen - share).abs() < 0.01, "{which}: {seen}");
        }
    }

    #[test]
    fn a_scenario_without_weight_never_comes() {
        let mut all = Schedule::new(Arrivals::Constant, 1_000.0, MINUTE, [0, 1, 0], 1);
        assert!(all.all(|arrival| arrival.scenario == 1));
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let poisson = |seed| schedule(Arrivals::Poisson, seed);
        assert_eq!(poisson(5), poisson(5));
        assert_ne!(poisson(5), poisson(6));
    }
}
