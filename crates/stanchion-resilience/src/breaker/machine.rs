//! The state machine: decisions only; time and chance come in.

use std::time::Duration;

use super::change::Word;
use super::sync::{Mutex, MutexGuard, Standing};
use super::window::{Baseline, Window};
use super::{
    BreakerBuilder, BreakerSettings, Change, Counts, Listener, State, Ticket, Trips, Verdict,
};
use crate::{Dice, Moment, Refusal};

/// When to ask again while the probes are out.
const PROBES_OUT: Duration = Duration::from_millis(100);

pub(super) struct Machine {
    /// All that a call through a closed breaker looks at. Changed under the lock only.
    standing: Standing,
    baseline: Baseline,
    window: Window,
    probing: Mutex<Probing>,
    settings: BreakerSettings,
    name: String,
    trips: Option<Trips>,
    listener: Option<Listener>,
    dice: Dice,
}

/// The half-open state; its lock is also that of every change.
#[derive(Debug, Default)]
struct Probing {
    out: u32,
    good: u32,
    bad: u32,
    /// When the last probe went out or came back.
    moved: Moment,
}

impl Machine {
    pub(super) fn new(builder: BreakerBuilder, now: Moment) -> Self {
        Machine {
            standing: Standing::new(Word::new(State::Closed, 1).0, now.as_nanos()),
            baseline: Baseline::new(&builder.settings),
            window: Window::new(&builder.settings),
            probing: Mutex::default(),
            settings: builder.settings,
            name: builder.name,
            trips: builder.trips,
            listener: builder.listener,
            dice: builder.dice,
        }
    }

    pub(super) fn acquire(&self, now: Moment) -> Result<Ticket, Refusal> {
        let word = self.word();
        match word.state() {
            State::Closed | State::ForcedClosed => Ok(ticket(word, now)),
            State::ForcedOpen => Err(refused(self.settings.open)),
            State::Open => {
                self.still_open(now)?;
                self.acquire_probe(now)
            }
            State::HalfOpen => self.acquire_probe(now),
        }
    }

    pub(super) fn peek(&self, now: Moment) -> Result<(), Refusal> {
        match self.word().state() {
            State::ForcedOpen => Err(refused(self.settings.open)),
            State::Open => self.still_open(now),
            State::Closed | State::ForcedClosed | State::HalfOpen => Ok(()),
        }
    }

    pub(super) fn record(&self, ticket: &Ticket, now: Moment, verdict: Verdict) {
        let word = self.word();
        if word.0 != ticket.word {
            return;
        }
        let took = now.as_nanos().saturating_sub(ticket.at.as_nanos());
        let slow = took > self.baseline.slow_above();
        match (word.state(), verdict) {
            (State::HalfOpen, _) => self.record_probe(word, now, took, verdict, slow),
            (State::Closed, Verdict::Success | Verdict::Failure) => {
                self.record_call(word, now, took, verdict == Verdict::Failure, slow);
            }
            _ => {}
        }
    }

    pub(super) fn force(&self, to: State, now: Moment) {
        let probing = self.probing.lock();
        self.change(probing, to, now);
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn state(&self) -> State {
        self.word().state()
    }

    pub(super) fn slow_above(&self) -> Duration {
        Duration::from_nanos(self.baseline.slow_above())
    }

    pub(super) fn counts(&self, now: Moment) -> Counts {
        let since = Moment::from_nanos(self.standing.since());
        let since = match self.settings.clear_every {
            Some(every) if !every.is_zero() => {
                let whole = now.since(since).as_nanos() / every.as_nanos();
                since + every * u32::try_from(whole).unwrap_or(u32::MAX)
            }
            _ => since,
        };
        self.window.counts(self.word().generation(), since, now)
    }

    fn word(&self) -> Word {
        Word(self.standing.word())
    }

    fn still_open(&self, now: Moment) -> Result<(), Refusal> {
        let until = Moment::from_nanos(self.standing.until());
        if now < until {
            return Err(refused(until.since(now)));
        }
        Ok(())
    }

    /// Closed: one word noted; looked at only when it is bad.
    fn record_call(&self, word: Word, now: Moment, took: u64, failed: bool, slow: bool) {
        let turn = self.window.note(word.generation(), now, failed, slow);
        if !failed && Baseline::samples(turn) {
            self.baseline.learn(took);
        }
        if (failed || slow) && self.is_tripped(&self.counts(now)) {
            let probing = self.probing.lock();
            if self.word() == word {
                self.change(probing, State::Open, now);
            }
        }
    }

    fn is_tripped(&self, counts: &Counts) -> bool {
        if let Some(trips) = &self.trips {
            return trips(counts);
        }
        let share = |part: u32| f64::from(part) / f64::from(counts.calls.max(1));
        counts.calls >= self.settings.calls_min
            && (share(counts.failures) >= self.settings.failure_rate
                || share(counts.slow) >= self.settings.slow_rate)
    }

    /// Open and over, or half-open: under the lock the state can be another one by now.
    fn acquire_probe(&self, now: Moment) -> Result<Ticket, Refusal> {
        let mut probing = self.probing.lock();
        match self.word().state() {
            State::Closed | State::ForcedClosed => return Ok(ticket(self.word(), now)),
            State::ForcedOpen => return Err(refused(self.settings.open)),
            State::Open => {
                self.still_open(now)?;
                self.change(probing, State::HalfOpen, now);
                probing = self.probing.lock();
                if self.state() != State::HalfOpen {
                    return Err(refused(PROBES_OUT));
                }
            }
            State::HalfOpen => {}
        }
        let asked = probing.out + probing.good + probing.bad;
        if probing.out < self.settings.probes_at_once && asked < self.settings.probes {
            probing.out += 1;
            probing.moved = now;
            return Ok(ticket(self.word(), now));
        }
        if now.since(probing.moved) >= self.settings.probe_wait_max {
            self.change(probing, State::Open, now);
            self.still_open(now)?;
        }
        Err(refused(PROBES_OUT))
    }

    fn record_probe(&self, word: Word, now: Moment, took: u64, verdict: Verdict, slow: bool) {
        let mut probing = self.probing.lock();
        if self.word() != word {
            return;
        }
        probing.out -= 1;
        probing.moved = now;
        match verdict {
            Verdict::Ignored => return,
            Verdict::Success if !slow => probing.good += 1,
            Verdict::Success | Verdict::Failure => probing.bad += 1,
        }
        if verdict == Verdict::Success {
            self.baseline.learn(took);
        }
        if probing.bad >= self.settings.probes_bad.min(self.settings.probes) {
            self.change(probing, State::Open, now);
        } else if probing.good + probing.bad >= self.settings.probes {
            self.change(probing, State::Closed, now);
        }
    }

    /// The one place where the state changes; tells of it with the lock released.
    fn change(&self, mut probing: MutexGuard<'_, Probing>, to: State, now: Moment) {
        let before = self.word();
        if before.state() == to && to != State::Closed {
            return;
        }
        *probing = Probing {
            moved: now,
            ..Probing::default()
        };
        let until = match to {
            State::Open => {
                now + self
                    .dice
                    .around(self.settings.open, self.settings.open_jitter)
            }
            _ => now,
        };
        let after = Word::new(to, before.generation() + 1);
        self.standing
            .change(after.0, now.as_nanos(), until.as_nanos());
        drop(probing);
        self.tell(before, after);
    }

    fn tell(&self, before: Word, after: Word) {
        let (from, to) = (before.state(), after.state());
        if to == State::Open {
            tracing::warn!(breaker = self.name, %from, %to, "circuit breaker");
        } else {
            tracing::info!(breaker = self.name, %from, %to, "circuit breaker");
        }
        if let Some(listener) = &self.listener {
            listener(&Change {
                from,
                to,
                generation: after.generation(),
            });
        }
    }
}

fn ticket(word: Word, at: Moment) -> Ticket {
    Ticket { word: word.0, at }
}

fn refused(retry_after: Duration) -> Refusal {
    Refusal::BreakerOpen { retry_after }
}
