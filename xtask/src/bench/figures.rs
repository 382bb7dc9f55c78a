//! Medians, ranges, ratios: what a row of the result is made of.

use super::turns::Pair;

/// From this share of the machine on, others disturbed a run.
pub(super) const DISTURBED: f64 = 0.2;

/// A disturbed run is repeated this often.
const AGAIN_MAX: usize = 1;

/// What one run of a driver gave.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Measurement {
    /// Events in a second.
    pub(super) rate: f64,
    pub(super) p50_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
    /// Processor time of a server for one event.
    pub(super) cpu_us: Option<f64>,
    /// The share of the machine that neither the driver nor its database used.
    pub(super) foreign: f64,
}

impl Measurement {
    /// One run; a disturbed one is repeated, unless in haste, and the quieter one counts.
    pub(super) fn least_disturbed(
        hasty: bool,
        mut run: impl FnMut() -> anyhow::Result<Self>,
    ) -> anyhow::Result<Self> {
        let mut measured = run()?;
        for _ in 0..AGAIN_MAX {
            if measured.foreign < DISTURBED || hasty {
                break;
            }
            let again = run()?;
            if again.foreign < measured.foreign {
                measured = again;
            }
        }
        Ok(measured)
    }
}

/// Which of a run's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    Rate,
    P50,
    P99,
    Cpu,
}

/// A median with the lowest and the highest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Ours beside a peer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Comparison {
    pub(super) ours: Spread,
    pub(super) peer: Spread,
    /// Ours divided by the peer's, pair by pair.
    pub(super) ratio: Spread,
    pub(super) rounds: usize,
    /// No pair was free of others' load.
    pub(super) disturbed: bool,
}

impl Figure {
    pub(super) fn of(self, measurement: &Measurement) -> Option<f64> {
        match self {
            Self::Rate => Some(measurement.rate),
            Self::P50 => measurement.p50_us,
            Self::P99 => measurement.p99_us,
            Self::Cpu => measurement.cpu_us,
        }
    }
}

impl Measurement {
    fn quiet(&self) -> bool {
        self.foreign < DISTURBED
    }
}

impl Spread {
    /// `None` for no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { median, low, high })
    }
}

/// Compares pairs that ran one after the other. Disturbed pairs count only where there are no others.
pub(super) fn compare(pairs: &[Pair<Measurement>], figure: Figure) -> Option<Comparison> {
    let quiet: Vec<_> = pairs
        .iter()
        .filter(|pair| pair.ours.quiet() && pair.peer.quiet())
        .collect();
    let disturbed = quiet.is_empty();
    let used = if disturbed {
        pairs.iter().collect()
    } else {
        quiet
    };
    let values: Vec<(f64, f64)> = used
        .iter()
        .filter_map(|pair| Some((figure.of(&pair.ours)?, figure.of(&pair.peer)?)))
        .filter(|(_, peer)| *peer > 0.0)
        .collect();
    Some(Comparison {
        ours: Spread::of(values.iter().map(|(ours, _)| *ours))?,
        peer: Spread::of(values.iter().map(|(_, peer)| *peer))?,
        ratio: Spread::of(values.iter().map(|(ours, peer)| ours / peer))?,
        rounds: values.len(),
        disturbed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rate: f64, foreign: f64) -> Measurement {
        Measurement {
            rate,
            foreign,
            ..Measurement::default()
        }
    }

    fn pair(ours: f64, peer: f64, foreign: f64) -> Pair<Measurement> {
        Pair {
            ours: run(ours, 0.0),
            peer: run(peer, foreign),
        }
    }

    #[test]
    fn the_median_is_the_middle_one_or_between_the_two_middle_ones() {
        let odd = Spread::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.median, odd.low, odd.high), (2.0, 1.0, 3.0));
        let even = Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!((even.median, even.low, even.high), (2.5, 1.0, 4.0));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn the_ratio_is_taken_within_each_pair_before_the_median() {
        let pairs = [
            pair(10.0, 1.0, 0.0),
            pair(40.0, 20.0, 0.0),
            pair(90.0, 30.0, 0.0),
        ];
        let compared = compare(&pairs, Figure::Rate).unwrap();
        assert_eq!(compared.ratio.median, 3.0);
        assert_eq!((compared.ours.median, compared.peer.median), (40.0, 20.0));
        assert_eq!((compared.rounds, compared.disturbed), (3, false));
    }

    #[test]
    fn a_disturbed_pair_counts_only_where_there_is_no_quiet_one() {
        let pairs = [pair(10.0, 10.0, 0.9), pair(20.0, 10.0, 0.0)];
        let compared = compare(&pairs, Figure::Rate).unwrap();
        assert_eq!((compared.ratio.median, compared.rounds), (2.0, 1));
        let only = compare(&pairs[..1], Figure::Rate).unwrap();
        assert_eq!((only.ratio.median, only.disturbed), (1.0, true));
    }

    #[test]
    fn a_figure_that_a_driver_does_not_give_is_no_comparison() {
        assert_eq!(compare(&[pair(1.0, 1.0, 0.0)], Figure::P99), None);
    }
}
