//! How far the consumer came in each line of announcements, what is a repeat and what is missing: decisions without I/O.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::contract::family;
use crate::{Link, LogId, Mark, Message, Place, Position, partition_of};

/// How soon a line is asked for again that got no further; doubled each time.
const ASK_BASE: Duration = Duration::from_secs(2);

/// How soon a line is asked for whose relay has just been heard.
const ASK_SOON: Duration = Duration::from_millis(500);

/// The longest time between two asks for a line.
const ASK_MAX: Duration = Duration::from_secs(60);

/// A hole that only beacons have told of ends when none has told of it for so long, which is many of a relay's: what it told
/// of was refused by the broker since, and a line of nothing has no beacons. One that comes after all opens it again.
const BEACON_LASTS: Duration = Duration::from_secs(300);

/// A partition of a log and a family of contracts: what is announced there is chained by [`Link::prev`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) log: LogId,
    pub(super) partition: u16,
    pub(super) family: String,
}

/// What a message is to this consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is its turn.
    Next,
    /// It was dealt with before.
    Repeat,
    /// Something before it never came.
    Missing,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// Everything up to here was taken up.
    taken: Position,
    /// Everything up to here is dealt with, and that is stored or about to be.
    settled: Position,
    hole: Option<Hole>,
}

#[derive(Clone, Debug)]
struct Hole {
    /// The line goes on up to here at least.
    ahead: Position,
    /// Where it was when it was last asked for.
    asked_at: Option<Position>,
    tries: u32,
    ask_after: Instant,
    /// A message came that is beyond it: it is there for certain.
    is_certain: bool,
    /// When it was last told of.
    told_at: Instant,
}

/// The lines of one consumer.
#[derive(Default)]
pub(super) struct Marks {
    lines: HashMap<Line, Known>,
    /// How far it came in whole logs, when it read them without a broker.
    places: HashMap<LogId, Position>,
}

impl Marks {
    pub(super) fn new(places: &HashMap<LogId, Place>, marks: Vec<Mark>, now: Instant) -> Self {
        let places = places.iter().map(|(log, place)| (*log, place.position));
        let mut own = Self {
            lines: HashMap::new(),
            places: places.collect(),
        };
        own.refresh(marks, now);
        own
    }

    /// Takes over what is stored where that is further: another member of the group was there.
    pub(super) fn refresh(&mut self, marks: Vec<Mark>, now: Instant) {
        for mark in marks {
            let line = Line {
                log: mark.log,
                partition: mark.partition,
                family: mark.family,
            };
            let known = self.known(&line);
            known.taken = known.taken.max(mark.position);
            known.settled = known.settled.max(mark.position);
            if let Some(ahead) = mark.ahead {
                known.misses(ahead, now);
            }
            known.close();
        }
    }

    /// What a message at that link is; nothing changes.
    pub(super) fn look(&self, line: &Line, link: &Link) -> Verdict {
        let taken = self.taken(line);
        if link.position <= taken {
            Verdict::Repeat
        } else if link.prev > taken {
            Verdict::Missing
        } else {
            Verdict::Next
        }
    }

    /// How far it came in that log, when it read that without a broker, as of the start of the subscription.
    pub(super) fn place(&self, log: LogId) -> Position {
        self.places.get(&log).copied().unwrap_or_default()
    }

    /// Whether everything up to there was taken up, or left out by its relay.
    pub(super) fn is_past(&self, line: &Line, position: Position) -> bool {
        self.taken(line) >= position
    }

    fn taken(&self, line: &Line) -> Position {
        let start = self.place(line.log);
        let known = self.lines.get(line);
        known.map_or(start, |known| known.taken.max(start))
    }

    /// A message read from the log itself that was dealt with before by way of a broker.
    pub(super) fn is_behind(&self, message: &Message) -> bool {
        if self.lines.is_empty() {
            return false;
        }
        let line = Line {
            log: message.origin.log,
            partition: partition_of(&message.key),
            family: family(&message.contract).to_owned(),
        };
        let known = self.lines.get(&line);
        known.is_some_and(|known| message.origin.position <= known.taken)
    }

    /// It is taken up.
    pub(super) fn take(&mut self, line: &Line, position: Position) {
        let known = self.known(line);
        known.taken = known.taken.max(position);
        known.close();
    }

    /// A message came from there, and what is before it is missing.
    pub(super) fn misses(&mut self, line: &Line, ahead: Position, now: Instant) {
        self.known(line).misses(ahead, now).is_certain = true;
    }

    /// Its relay says that the line goes on up to there. What was asked before may have reached nobody, so the next ask is
    /// not long in coming.
    pub(super) fn hears(&mut self, line: &Line, ahead: Position, now: Instant) {
        let hole = self.known(line).misses(ahead, now);
        hole.told_at = now;
        hole.tries = 0;
        hole.ask_after = hole.ask_after.min(now + ASK_SOON);
    }

    /// Forgets the holes that nobody tells of any more: what to store.
    pub(super) fn lapse(&mut self, now: Instant) -> Vec<Mark> {
        let mut lapsed = Vec::new();
        for (line, known) in &mut self.lines {
            let is_over = |hole: &Hole| !hole.is_certain && now >= hole.told_at + BEACON_LASTS;
            if known.hole.as_ref().is_some_and(is_over) {
                known.hole = None;
                lapsed.push(known.mark(line));
            }
        }
        lapsed
    }

    /// Its relay says that the line ends there, for now. Whether that closed a hole: what was known to come after it was put
    /// aside since, and is in the line no more. Should the word be an old one, the next one opens the hole again.
    pub(super) fn ends(&mut self, line: &Line, position: Position) -> bool {
        let known = self.known(line);
        let is_over = |hole: &Hole| hole.ahead > position && known.taken == position;
        if !known.hole.as_ref().is_some_and(is_over) {
            return false;
        }
        known.hole = None;
        true
    }

    /// Everything of the line up to there is dealt with: what to store.
    pub(super) fn settle(&mut self, line: &Line, position: Position) -> Mark {
        let known = self.known(line);
        known.settled = known.settled.max(position);
        known.mark(line)
    }

    /// The lines to ask for now, at most so many, with how far each was dealt with. Those that there is no room for are due
    /// still, and those that were asked for are not due for a while.
    pub(super) fn asks(&mut self, now: Instant, max: usize) -> Vec<(Line, Position)> {
        let mut asks = Vec::new();
        for (line, known) in &mut self.lines {
            if asks.len() == max {
                break;
            }
            let settled = known.settled;
            // What came after the last ask is still being handled: who asks meanwhile has it all announced again.
            if known.taken > settled {
                continue;
            }
            if known
                .hole
                .as_mut()
                .is_some_and(|hole| hole.is_due(settled, now))
            {
                asks.push((line.clone(), settled));
            }
        }
        asks
    }

    /// Lines that something is missing of.
    pub(super) fn holes(&self) -> usize {
        self.lines
            .values()
            .filter(|known| known.hole.is_some())
            .count()
    }

    fn known(&mut self, line: &Line) -> &mut Known {
        if !self.lines.contains_key(line) {
            let start = self.place(line.log);
            let known = Known {
                taken: start,
                settled: start,
                hole: None,
            };
            self.lines.insert(line.clone(), known);
        }
        self.lines.get_mut(line).expect("it was just put there")
    }
}

impl Known {
    fn misses(&mut self, ahead: Position, now: Instant) -> &mut Hole {
        let hole = self.hole.get_or_insert(Hole {
            ahead,
            asked_at: None,
            tries: 0,
            ask_after: now,
            is_certain: false,
            told_at: now,
        });
        hole.ahead = hole.ahead.max(ahead);
        hole
    }

    fn mark(&self, line: &Line) -> Mark {
        Mark {
            log: line.log,
            partition: line.partition,
            family: line.family.clone(),
            position: self.settled,
            ahead: self.hole.as_ref().map(|hole| hole.ahead),
        }
    }

    fn close(&mut self) {
        if self
            .hole
            .as_ref()
            .is_some_and(|hole| hole.ahead <= self.taken)
        {
            self.hole = None;
        }
    }
}

impl Hole {
    fn is_due(&mut self, settled: Position, now: Instant) -> bool {
        // It is being filled: who asks meanwhile has everything announced again.
        if self.asked_at.is_some_and(|asked| asked < settled) {
            self.tries = 0;
            self.asked_at = Some(settled);
            self.ask_after = now + ASK_BASE;
            self.told_at = now;
        }
        if now < self.ask_after {
            return false;
        }
        self.asked_at = Some(settled);
        self.ask_after = now + ASK_BASE.saturating_mul(1 << self.tries.min(5)).min(ASK_MAX);
        self.tries += 1;
        true
    }
}

#[cfg(test)]
mod tests;
