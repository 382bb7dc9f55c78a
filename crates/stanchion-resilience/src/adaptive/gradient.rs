//! The limit itself: a core without clock or tasks.

use std::time::Duration;

use super::AdaptiveSettings;
use crate::moment::nanos;
use crate::{Dice, Moment};

/// Finds how many calls at a time a dependency, or this process, answers without queueing.
///
/// After each window it compares the median time of a call with that of an unloaded one and sets (Envoy's gradient
/// controller, there with the same defaults):
///
/// ```text
/// gradient = (unloaded · (1 + buffer)) / median      between 0.5 and 2
/// limit    = limit · gradient + √limit               between min and max
/// ```
///
/// It grows only when at least half the limit was in use. What an unloaded call takes is measured anew now and then
/// with a few calls at a time: taken under load instead, the measure would drift up with the load it should show.
#[derive(Debug)]
pub struct Gradient {
    settings: AdaptiveSettings,
    dice: Dice,
    limit: f64,
    unloaded: Option<u64>,
    window: Samples,
    began: Moment,
    running_max: u32,
    probe: Option<Probe>,
    next_probe: Moment,
}

/// A finished call.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When it began.
    pub began: Moment,
    /// When it ended, or was given up.
    pub ended: Moment,
    /// How many calls ran when it began, itself included.
    pub running: u32,
}

#[derive(Debug)]
struct Probe {
    began: Moment,
    samples: Samples,
}

/// Times of the last calls, at most [`SAMPLES_MAX`].
#[derive(Debug, Default)]
struct Samples {
    nanos: Vec<u64>,
    seen: usize,
}

const SAMPLES_MAX: usize = 256;
/// A first measure is taken under whatever load there is; a better one follows after this part of the interval.
const FIRST_PROBE: u32 = 6;

impl Gradient {
    /// Begins at `settings.start`.
    #[must_use]
    pub fn new(settings: &AdaptiveSettings, dice: Dice, now: Moment) -> Self {
        Gradient {
            next_probe: now + settings.probe_every / FIRST_PROBE,
            settings: settings.clone(),
            dice,
            limit: f64::from(settings.start),
            unloaded: None,
            window: Samples::default(),
            began: now,
            running_max: 0,
            probe: None,
        }
    }

    /// How many calls there may be at a time now; at least 1.
    #[must_use]
    pub fn limit(&self) -> u32 {
        let limit = (self.limit as u32).max(self.settings.min);
        match self.probe {
            Some(_) => limit.min(self.settings.probe_limit),
            None => limit,
        }
    }

    /// What an unloaded call takes, once that is known.
    #[must_use]
    pub fn unloaded(&self) -> Option<Duration> {
        self.unloaded.map(Duration::from_nanos)
    }

    /// Takes in a call that ended or was given up; streams and calls that wait by intention are no samples.
    pub fn sample(&mut self, sample: Sample) {
        let (now, took) = (sample.ended, nanos(sample.ended.since(sample.began)).max(1));
        if self.probe.is_some() {
            self.probe(sample, took);
            return;
        }
        self.window.add(took);
        self.running_max = self.running_max.max(sample.running);
        let is_over = now.since(self.began) >= self.settings.window;
        if is_over && self.window.seen >= self.settings.window_calls_min as usize {
            self.adapt();
            self.restart(now);
        }
        if now >= self.next_probe {
            self.probe = Some(Probe {
                began: now,
                samples: Samples::default(),
            });
        }
    }

    fn adapt(&mut self) {
        let median = self.window.median();
        let unloaded = self.unloaded.map_or(median, |unloaded| unloaded.min(median));
        self.unloaded = Some(unloaded);
        let gradient = unloaded as f64 * (1.0 + self.settings.buffer) / median as f64;
        let next = self.limit * gradient.clamp(0.5, 2.0) + self.limit.sqrt();
        if next > self.limit && f64::from(self.running_max) < self.limit / 2.0 {
            return;
        }
        self.limit = next.clamp(f64::from(self.settings.min), f64::from(self.settings.max));
    }

    /// A call while the unloaded time is measured; one that began beside too many others says nothing.
    fn probe(&mut self, sample: Sample, took: u64) {
        let now = sample.ended;
        let Some(probe) = &mut self.probe else {
            return;
        };
        if sample.began >= probe.began && sample.running <= self.settings.probe_limit {
            probe.samples.add(took);
        }
        let is_enough = probe.samples.seen >= self.settings.probe_calls as usize;
        let is_too_long = now.since(probe.began) >= self.settings.probe_max;
        if is_enough || is_too_long {
            if probe.samples.seen >= self.settings.window_calls_min as usize {
                self.unloaded = Some(probe.samples.median());
            }
            self.probe = None;
            self.next_probe = now + self.dice.around(self.settings.probe_every, 0.15);
            self.restart(now);
        }
    }

    fn restart(&mut self, now: Moment) {
        self.window = Samples::default();
        self.began = now;
        self.running_max = 0;
    }
}

impl Samples {
    fn add(&mut self, nanos: u64) {
        if self.nanos.len() < SAMPLES_MAX {
            self.nanos.push(nanos);
        } else {
            self.nanos[self.seen % SAMPLES_MAX] = nanos;
        }
        self.seen += 1;
    }

    /// The middle one; 1 when there is none.
    fn median(&mut self) -> u64 {
        let middle = self.nanos.len() / 2;
        if self.nanos.is_empty() {
            return 1;
        }
        *self.nanos.select_nth_unstable(middle).1
    }
}
