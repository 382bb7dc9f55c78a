//! What a run gave, for programs and for people.

use std::collections::BTreeMap;
use std::fmt::Write;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The shares whose latencies are kept for the curve: ever closer to all.
const CURVE: [f64; 19] = [
    0.0, 0.1, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99, 0.995, 0.999,
    0.9995, 0.9999, 0.99999,
];

/// One run. Times are microseconds from the intended start, unless said otherwise.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Report {
    /// Requests a second that were due.
    pub offered_rate: f64,
    /// Good answers a second within the measured time; under [`due_rate`](Self::due_rate) the target did not keep up.
    pub achieved_rate: f64,
    /// The measured time, without warm-up.
    pub seconds: f64,
    /// What was due within it.
    pub requests: u64,
    /// Those without the wanted answer, unsent ones with them.
    pub errors: u64,
    /// Those that found every connection busy and the queue full.
    pub unsent: u64,
    /// The errors by kind; at most 32 kinds, and `others`.
    pub failures: BTreeMap<String, u64>,
    /// Of everything that was sent, failures with it.
    pub latency: Latency,
    /// How long requests waited here: the timer's grain, and for a free connection. Part of [`Report::latency`].
    pub waited: Latency,
    /// One for each scenario, in the mix's order.
    pub scenarios: Vec<ScenarioReport>,
    /// One for each second, by intended start.
    pub series: Vec<Second>,
    /// More than the connections of the load means that some broke or were closed.
    pub connections_opened: u64,
    /// Where chance began.
    pub seed: u64,
}

/// One scenario's part of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioReport {
    /// Its name in the mix.
    pub name: String,
    /// What was sent.
    pub requests: u64,
    /// Those without the wanted answer.
    pub errors: u64,
    /// Of everything that was sent.
    pub latency: Latency,
}

/// A distribution of times in microseconds, within 0.1 %.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Half are at most this.
    pub p50_us: u64,
    /// Nine of ten.
    pub p90_us: u64,
    /// 99 of 100.
    pub p99_us: u64,
    /// 999 of 1,000.
    pub p999_us: u64,
    /// All.
    pub max_us: u64,
    /// The average.
    pub mean_us: f64,
    /// Pairs of a share and the time that so many do not exceed, rising.
    pub curve: Vec<(f64, u64)>,
}

/// One second of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// What was due in it.
    pub due: u64,
    /// Those without the wanted answer.
    pub errors: u64,
    /// Half are at most this, within 1 %.
    pub p50_us: u64,
    /// 99 of 100.
    pub p99_us: u64,
    /// All.
    pub max_us: u64,
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let at = |share| histogram.value_at_quantile(share).min(histogram.max());
        // A share finer than one of all says nothing that the largest does not.
        let finest = 1.0 - 1.0 / histogram.len() as f64;
        let shares = CURVE.into_iter().filter(|share| *share <= finest);
        let curve = shares.map(|share| (share, at(share)));
        Self {
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: histogram.max(),
            mean_us: histogram.mean(),
            curve: curve.collect(),
        }
    }

    fn line(&self) -> String {
        let ms = |us: u64| us as f64 / 1_000.0;
        format!(
            "p50 {:.2} ms, p90 {:.2}, p99 {:.2}, p99.9 {:.2}, max {:.2}",
            ms(self.p50_us),
            ms(self.p90_us),
            ms(self.p99_us),
            ms(self.p999_us),
            ms(self.max_us),
        )
    }
}

impl Report {
    /// Lines for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "offered {:.0}/s, achieved {:.0}/s over {:.0} s: {} requests, {} errors, {} of them unsent (seed {})\n",
            self.offered_rate,
            self.achieved_rate,
            self.seconds,
            self.requests,
            self.errors,
            self.unsent,
            self.seed,
        );
        // Writing to a text cannot fail.
        let _ = writeln!(text, "latency   {}", self.latency.line());
        let _ = writeln!(text, "waited    {}", self.waited.line());
        for scenario in &self.scenarios {
            let _ = writeln!(
                text,
                "  {:<16} {:>9} requests, {} errors, {}",
                scenario.name,
                scenario.requests,
                scenario.errors,
                scenario.latency.line()
            );
        }
        for (kind, count) in &self.failures {
            let _ = writeln!(text, "  {count} × {kind}");
        }
        text
    }

    /// Requests a second that were really due: of Poisson arrivals not quite the offered rate.
    #[must_use]
    pub fn due_rate(&self) -> f64 {
        self.requests as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// The share of requests that failed, 0 to 1.
    #[must_use]
    pub fn error_share(&self) -> f64 {
        self.errors as f64 / self.requests.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::histogram::{fine, record};

    #[test]
    fn a_distribution_is_told_within_a_thousandth() {
        let mut histogram = fine();
        for ms in 1..=1_000 {
            record(&mut histogram, Duration::from_millis(ms));
        }
        let latency = Latency::of(&histogram);
        let near = |seen: u64, us: f64| (seen as f64 / us - 1.0).abs() < 0.001;
        assert!(near(latency.p50_us, 500_000.0), "{latency:?}");
        assert!(near(latency.p99_us, 990_000.0), "{latency:?}");
        assert!(near(latency.max_us, 1_000_000.0), "{latency:?}");
        let last = latency.curve.last().unwrap();
        assert_eq!(last.0, 0.999, "of 1,000 no finer share is known");
        assert!(latency.curve.is_sorted_by_key(|(_, us)| *us));
    }

    #[test]
    fn nothing_recorded_is_all_zero() {
        assert_eq!(Latency::of(&fine()), Latency::default());
    }

    #[test]
    fn times_beyond_the_range_count_as_its_ends() {
        let mut histogram = fine();
        record(&mut histogram, Duration::ZERO);
        record(&mut histogram, Duration::from_secs(3_600));
        assert_eq!(histogram.min(), 1);
        assert!(histogram.max() >= 60_000_000);
    }
}
