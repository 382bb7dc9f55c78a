//! What happened, as it happens.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::histogram::{coarse, fine, record};
use crate::report::{Latency, Report, ScenarioReport, Second};
use crate::scenario::Failure;
use crate::schedule::Arrival;

/// Kinds of failures that are told apart; the others are counted together.
const KINDS_MAX: usize = 32;
const OTHERS: &str = "others";
/// What found no room to wait.
const UNSENT: &str = "unsent: every connection was busy and the queue full";

/// When an arrival was really begun and done, since the start of the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) begun: Duration,
    pub(crate) done: Duration,
}

/// Counts of one run; only what was due within `from..until`.
#[derive(Debug)]
pub(crate) struct Recorder {
    from: Duration,
    until: Duration,
    scenarios: Vec<Tally>,
    latency: Histogram<u64>,
    waited: Histogram<u64>,
    seconds: Vec<Window>,
    failures: BTreeMap<String, u64>,
    /// Answered well within the measured time, whenever they were due.
    good_within: u64,
}

#[derive(Debug)]
struct Tally {
    name: String,
    latency: Histogram<u64>,
    errors: u64,
}

#[derive(Debug)]
struct Window {
    latency: Histogram<u64>,
    due: u64,
    errors: u64,
}

impl Recorder {
    pub(crate) fn new(
        names: impl IntoIterator<Item = String>,
        from: Duration,
        until: Duration,
    ) -> Self {
        let scenarios = names.into_iter().map(|name| Tally {
            name,
            latency: fine(),
            errors: 0,
        });
        let seconds = until.saturating_sub(from).as_secs_f64().ceil() as usize;
        Self {
            from,
            until,
            scenarios: scenarios.collect(),
            latency: fine(),
            waited: fine(),
            seconds: (0..seconds).map(|_| Window::new()).collect(),
            failures: BTreeMap::new(),
            good_within: 0,
        }
    }

    pub(crate) fn done(&mut self, arrival: &Arrival, taken: Taken, outcome: Result<(), Failure>) {
        if outcome.is_ok() && (self.from..self.until).contains(&taken.done) {
            self.good_within += 1;
        }
        if arrival.at < self.from {
            return;
        }
        // A failure takes its time as well: to leave it out would make a slow server look fast.
        let latency = taken.done.saturating_sub(arrival.at);
        record(&mut self.latency, latency);
        record(&mut self.waited, taken.begun.saturating_sub(arrival.at));
        record(&mut self.scenarios[arrival.scenario].latency, latency);
        if let Some(window) = self.window(arrival) {
            window.due += 1;
            record(&mut window.latency, latency);
        }
        if let Err(failure) = outcome {
            self.failed(arrival, failure.to_string());
        }
    }

    /// It was due and found no room to wait.
    pub(crate) fn unsent(&mut self, arrival: &Arrival) {
        if arrival.at < self.from {
            return;
        }
        if let Some(window) = self.window(arrival) {
            window.due += 1;
        }
        self.failed(arrival, UNSENT.to_owned());
    }

    fn failed(&mut self, arrival: &Arrival, kind: String) {
        self.scenarios[arrival.scenario].errors += 1;
        if let Some(window) = self.window(arrival) {
            window.errors += 1;
        }
        let known = self.failures.contains_key(&kind) || self.failures.len() < KINDS_MAX;
        let kind = if known { kind } else { OTHERS.to_owned() };
        *self.failures.entry(kind).or_default() += 1;
    }

    fn window(&mut self, arrival: &Arrival) -> Option<&mut Window> {
        let second = arrival.at.saturating_sub(self.from).as_secs();
        self.seconds.get_mut(usize::try_from(second).ok()?)
    }

    /// Rate and seed are the run's.
    pub(crate) fn report(&self, offered_rate: f64, seed: u64) -> Report {
        let seconds = self.until.saturating_sub(self.from).as_secs_f64();
        let unsent = self.failures.get(UNSENT).copied().unwrap_or(0);
        Report {
            offered_rate,
            achieved_rate: self.good_within as f64 / seconds,
            seconds,
            requests: self.latency.len() + unsent,
            errors: self.failures.values().sum(),
            unsent,
            failures: self.failures.clone(),
            latency: Latency::of(&self.latency),
            waited: Latency::of(&self.waited),
            scenarios: self.scenarios.iter().map(Tally::report).collect(),
            series: self.seconds.iter().map(Window::report).collect(),
            connections_opened: 0,
            seed,
        }
    }
}

impl Tally {
    fn report(&self) -> ScenarioReport {
        ScenarioReport {
            name: self.name.clone(),
            requests: self.latency.len(),
            errors: self.errors,
            latency: Latency::of(&self.latency),
        }
    }
}

impl Window {
    fn new() -> Self {
        Self {
            latency: coarse(),
            due: 0,
            errors: 0,
        }
    }

    fn report(&self) -> Second {
        Second {
            due: self.due,
            errors: self.errors,
            p50_us: self.latency.value_at_quantile(0.5),
            p99_us: self.latency.value_at_quantile(0.99),
            max_us: self.latency.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder() -> Recorder {
        let names = ["read".to_owned(), "write".to_owned()];
        Recorder::new(names, Duration::from_secs(1), Duration::from_secs(3))
    }

    fn arrival(at_ms: u64, scenario: usize) -> Arrival {
        Arrival {
            number: 0,
            at: Duration::from_millis(at_ms),
            scenario,
        }
    }

    fn taken(begun_ms: u64, done_ms: u64) -> Taken {
        Taken {
            begun: Duration::from_millis(begun_ms),
            done: Duration::from_millis(done_ms),
        }
    }

    #[test]
    fn latency_counts_from_the_intended_start_not_from_the_real_one() {
        let mut recorder = recorder();
        recorder.done(&arrival(1_000, 0), taken(1_400, 1_500), Ok(()));
        let report = recorder.report(1.0, 0);
        let within = |seen: u64, ms: u64| (seen as f64 / (ms * 1_000) as f64 - 1.0).abs() < 0.01;
        assert!(within(report.latency.p50_us, 500), "{report:?}");
        assert!(within(report.waited.p50_us, 400), "{report:?}");
    }

    #[test]
    fn what_is_due_while_warming_up_is_not_counted() {
        let mut recorder = recorder();
        recorder.done(&arrival(999, 0), taken(999, 1_010), Err(Failure::TimedOut));
        recorder.unsent(&arrival(500, 1));
        let report = recorder.report(1.0, 0);
        assert_eq!((report.requests, report.errors, report.unsent), (0, 0, 0));
    }

    #[test]
    fn unsent_requests_and_failures_are_errors_of_their_second_and_scenario() {
        let mut recorder = recorder();
        recorder.done(&arrival(1_500, 0), taken(1_500, 1_501), Ok(()));
        recorder.unsent(&arrival(2_100, 1));
        let failed = Err(Failure::Status(503));
        recorder.done(&arrival(2_200, 1), taken(2_200, 2_250), failed);
        let report = recorder.report(1.0, 0);
        assert_eq!((report.requests, report.errors, report.unsent), (3, 2, 1));
        assert_eq!((report.series[0].errors, report.series[1].errors), (0, 2));
        assert_eq!((report.series[1].due, report.scenarios[1].errors), (2, 2));
        assert_eq!(report.failures["status 503"], 1);
    }

    #[test]
    fn the_achieved_rate_counts_good_answers_of_the_measured_time() {
        let mut recorder = recorder();
        // Due before, answered within; due within, answered after; failed.
        recorder.done(&arrival(900, 0), taken(900, 1_100), Ok(()));
        recorder.done(&arrival(2_900, 0), taken(2_900, 3_100), Ok(()));
        recorder.done(
            &arrival(2_000, 0),
            taken(2_000, 2_100),
            Err(Failure::TimedOut),
        );
        assert_eq!(recorder.report(1.0, 0).achieved_rate, 0.5);
    }

    #[test]
    fn kinds_of_failures_are_bounded() {
        let mut recorder = recorder();
        for kind in 0..100 {
            let failed = Err(Failure::Transport(kind.to_string()));
            recorder.done(&arrival(1_500, 0), taken(1_500, 1_501), failed);
        }
        let report = recorder.report(1.0, 0);
        assert_eq!((report.failures.len(), report.errors), (KINDS_MAX + 1, 100));
        assert_eq!(report.failures[OTHERS], 100 - KINDS_MAX as u64);
    }
}
