//! The limit itself: a core without clock or tasks.

use std::time::Duration;

use super::AdaptiveSettings;
use super::samples::Samples;
use crate::moment::nanos;
use crate::{Dice, Moment, Priority};

/// Finds how many calls at a time a dependency, or this process, answers without queueing.
///
/// After each window it compares the usual time of a call (the mean of the quicker nine tenths) with that of an
/// unloaded one (Envoy's gradient controller; it measures with three calls at a time, which on a server with one slot
/// is load already):
///
/// ```text
/// gradient = (unloaded · (1 + buffer)) / usual          between 0.5 and 2
/// limit    = limit · gradient + √limit − 1              between min and max
/// ```
///
/// It grows only when at least half of it was in use, and it falls only while it is *felt*: while at least half of the
/// calls found no place. One that is not felt goes back to its start: what an overload has taught is forgotten when it is
/// over. An idle service is never held back.
///
/// **Slow is not overloaded.** A call is slow because too many run, or because other processes have the cores, or
/// because something behind it is slow. Only the first is mended by a lower limit, and then calls come faster than they
/// are answered and fill it, whatever it is; before that a lower one would turn away what is being answered. (`WeChat`'s
/// DAGOR takes time in the queue and not response time for load, for the same reason: Zhou et al., *Overload Control for
/// Scaling WeChat Microservices*, `SoCC` 2018; Uber's Cinnamon ties its limit to what is in flight.) Whose core it was is
/// not asked, neither of the system nor of a timer that is late: when more comes than is answered, a queue grows,
/// whoever took the processor.
///
/// **A move is judged by calls that began after it.** Those from before are as slow as the queue was then, and would
/// lower it again and again before anything could be seen of the first time.
///
/// Envoy adds √limit. Then no limit falls below 4, since half of 4 and 2 are 4: a queue of three before one slot.
///
/// An unloaded call is one that runs nearly alone; while the limit is felt all the time there is none, and now and then
/// it is lowered for a few calls to have some. Taken under load instead, the measure would drift up with the load it
/// should show.
#[derive(Debug)]
pub struct Gradient {
    settings: AdaptiveSettings,
    dice: Dice,
    limit: f64,
    unloaded: Option<u64>,
    /// The unloaded time was given, and is not measured.
    is_given: bool,
    window: Samples,
    /// Calls of quiet times.
    quiet: Samples,
    began: Moment,
    /// When the limit was last another one.
    moved: Moment,
    running_max: u32,
    /// Calls that ended in this window, and calls that found no place.
    ended: usize,
    felt: usize,
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
    /// How long it took; calls of several kinds are made comparable here.
    pub took: Duration,
    /// How many calls ran when it began, itself included.
    pub running: u32,
}

#[derive(Debug)]
struct Probe {
    began: Moment,
    /// Critical calls are held back too.
    is_strict: bool,
    samples: Samples,
}

/// Fewer calls than these say nothing about an unloaded one; a probe of long calls waits for them so many times
/// [`AdaptiveSettings::probe_max`].
const PROBED_MIN: usize = 5;
const PROBED_LONG: u32 = 10;
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
            is_given: false,
            window: Samples::default(),
            quiet: Samples::default(),
            began: now,
            moved: now,
            running_max: 0,
            ended: 0,
            felt: 0,
            probe: None,
        }
    }

    /// Compares with this time instead of a measured one: for calls whose times were made comparable before.
    #[must_use]
    pub fn against(mut self, unloaded: Duration) -> Self {
        self.unloaded = Some(nanos(unloaded));
        self.is_given = true;
        self
    }

    /// How many calls there may be at a time now; at least 1.
    #[must_use]
    pub fn limit(&self) -> u32 {
        (self.limit as u32).max(self.settings.min)
    }

    /// How many calls of this class there may be at a time now. While an unloaded call is measured critical ones are
    /// not held back, unless there are so many of them that it cannot be measured otherwise.
    #[must_use]
    pub fn limit_of(&self, priority: Priority) -> u32 {
        let part = priority.part_of(self.limit());
        match &self.probe {
            Some(probe) if probe.is_strict || priority != Priority::Critical => {
                part.min(self.settings.probe_limit)
            }
            _ => part,
        }
    }

    /// A call found no place. When that is usual, the limit is felt, and its measure must be right.
    pub fn felt(&mut self) {
        self.felt += 1;
    }

    /// Calls that found no place since the present window began.
    #[must_use]
    pub fn refusals(&self) -> usize {
        self.felt
    }

    /// What an unloaded call takes, once that is known.
    #[must_use]
    pub fn unloaded(&self) -> Option<Duration> {
        self.unloaded.map(Duration::from_nanos)
    }

    /// Takes in a call that ended or was given up; streams and calls that wait by intention are no samples.
    pub fn sample(&mut self, sample: Sample) {
        let (now, took) = (sample.ended, nanos(sample.took).max(1));
        if self.probe.is_some() {
            self.probe(sample, took);
            return;
        }
        self.ended += 1;
        self.notice_quiet(&sample, took);
        if sample.began >= self.moved {
            self.window.add(took);
            self.running_max = self.running_max.max(sample.running);
        }
        let is_over = now.since(self.began) >= self.settings.window;
        if is_over && self.window.seen >= self.settings.window_calls_min as usize {
            let is_felt = self.felt >= self.ended.div_ceil(2);
            self.adapt(is_felt, now);
            self.restart(now);
            if is_felt && now >= self.next_probe {
                self.probe = Some(Probe {
                    began: now,
                    is_strict: false,
                    samples: Samples::default(),
                });
            }
        }
    }

    fn notice_quiet(&mut self, sample: &Sample, took: u64) {
        if sample.running > self.settings.probe_limit {
            return;
        }
        self.quiet.add(took);
        if self.quiet.seen >= self.settings.probe_calls as usize {
            let usual = self.quiet.usual();
            self.measured(usual);
            self.quiet = Samples::default();
            self.next_probe = sample.ended + self.dice.around(self.settings.probe_every, 0.15);
        }
    }

    fn measured(&mut self, unloaded: u64) {
        if !self.is_given {
            self.unloaded = Some(unloaded);
        }
    }

    fn adapt(&mut self, is_felt: bool, now: Moment) {
        let usual = self.window.usual();
        let least = |unloaded: u64| unloaded.min(usual);
        let unloaded = match self.unloaded {
            Some(given) if self.is_given => given,
            measured => measured.map_or(usual, least),
        };
        self.unloaded = Some(unloaded);
        let gradient = unloaded as f64 * (1.0 + self.settings.buffer) / usual as f64;
        let before = self.limit();
        let next = self.next(gradient, is_felt);
        self.limit = next.clamp(f64::from(self.settings.min), f64::from(self.settings.max));
        if self.limit() != before {
            self.moved = now;
        }
    }

    fn next(&self, gradient: f64, is_felt: bool) -> f64 {
        let (limit, step) = (self.limit, self.limit.sqrt() - 1.0);
        let start = f64::from(self.settings.start);
        let is_used = f64::from(self.running_max) >= limit / 2.0;
        let measured = limit * gradient.clamp(0.5, 2.0) + step;
        if measured < limit && is_felt || measured > limit && is_used {
            measured
        } else if !is_felt && limit < start {
            (limit + limit.sqrt()).min(start)
        } else {
            limit
        }
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
        let (seen, lasted) = (probe.samples.seen, now.since(probe.began));
        let is_enough = seen >= self.settings.probe_calls as usize;
        let is_enough_for_long_calls = seen >= PROBED_MIN && lasted >= self.settings.probe_max;
        // Where the measure is given, calls of all kinds only want a quiet moment to begin in: critical ones need not be
        // held back for it, and nobody waits for the long ones.
        let is_quiet_over = self.is_given && lasted >= self.settings.probe_max;
        let is_given_up = is_quiet_over || lasted >= self.settings.probe_max * PROBED_LONG;
        if is_enough || is_enough_for_long_calls || is_given_up {
            let usual = (seen >= PROBED_MIN).then(|| probe.samples.usual());
            if let Some(usual) = usual {
                self.measured(usual);
            }
            self.probe = None;
            // Long calls make a long probe: it never costs more than one part in twenty.
            let next = self.settings.probe_every.max(lasted * 20);
            self.next_probe = now + self.dice.around(next, 0.15);
            self.moved = now;
            self.restart(now);
        } else if lasted >= self.settings.probe_max {
            probe.is_strict = true;
        }
    }

    fn restart(&mut self, now: Moment) {
        self.window = Samples::default();
        self.began = now;
        self.running_max = 0;
        self.ended = 0;
        self.felt = 0;
    }
}
