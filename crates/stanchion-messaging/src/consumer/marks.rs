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

    fn taken(&self, line: &Line) -> Position {
        let start = self.places.get(&line.log).copied().unwrap_or_default();
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

    /// The line goes on up to there, and what is before it is missing.
    pub(super) fn misses(&mut self, line: &Line, ahead: Position, now: Instant) {
        self.known(line).misses(ahead, now);
    }

    /// Its relay is there: what was asked before may have reached nobody, so the next ask is not long in coming.
    pub(super) fn hears(&mut self, line: &Line, now: Instant) {
        if let Some(hole) = &mut self.known(line).hole {
            hole.tries = 0;
            hole.ask_after = hole.ask_after.min(now + ASK_SOON);
        }
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
        Mark {
            log: line.log,
            partition: line.partition,
            family: line.family.clone(),
            position: known.settled,
            ahead: known.hole.as_ref().map(|hole| hole.ahead),
        }
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
            let start = self.places.get(&line.log).copied().unwrap_or_default();
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
    fn misses(&mut self, ahead: Position, now: Instant) {
        let hole = self.hole.get_or_insert(Hole {
            ahead,
            asked_at: None,
            tries: 0,
            ask_after: now,
        });
        hole.ahead = hole.ahead.max(ahead);
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
mod tests {
    use super::*;
    use uuid::Uuid;

    const LOG: LogId = LogId(Uuid::nil());

    fn line() -> Line {
        Line {
            log: LOG,
            partition: 3,
            family: "x.y".into(),
        }
    }

    fn link(prev: i64, position: i64) -> Link {
        Link {
            log: LOG,
            partition: 3,
            prev: Position(prev),
            position: Position(position),
        }
    }

    fn at(position: i64) -> Marks {
        let mut marks = Marks::default();
        marks.take(&line(), Position(position));
        marks.settle(&line(), Position(position));
        marks
    }

    #[test]
    fn what_follows_is_next_what_is_behind_a_repeat_and_what_is_beyond_a_hole() {
        let marks = at(5);
        for (prev, position, expected) in [
            (5, 8, Verdict::Next),
            (3, 8, Verdict::Next),
            (3, 5, Verdict::Repeat),
            (5, 5, Verdict::Repeat),
            (6, 8, Verdict::Missing),
            (8, 8, Verdict::Missing),
        ] {
            assert_eq!(
                marks.look(&line(), &link(prev, position)),
                expected,
                "{prev} {position}"
            );
        }
    }

    #[test]
    fn who_read_the_log_itself_before_goes_on_from_there() {
        let place = Place {
            position: Position(7),
            event: None,
        };
        let marks = Marks::new(&HashMap::from([(LOG, place)]), Vec::new(), Instant::now());
        assert_eq!(marks.look(&line(), &link(3, 7)), Verdict::Repeat);
        assert_eq!(marks.look(&line(), &link(6, 9)), Verdict::Next);
        assert_eq!(marks.look(&line(), &link(8, 9)), Verdict::Missing);
    }

    #[test]
    fn a_hole_is_asked_for_at_once_then_less_and_less_often_and_not_while_it_is_being_filled() {
        let mut marks = at(5);
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        marks.misses(&line(), Position(9), start);
        assert_eq!(marks.asks(start, 64), [(line(), Position(5))]);
        let asked: Vec<_> = (1..=20)
            .filter(|s| !marks.asks(after(*s), 64).is_empty())
            .collect();
        assert_eq!(asked, [2, 6, 14]);
        marks.take(&line(), Position(7));
        assert!(marks.asks(after(50), 64).is_empty(), "it is being handled");
        marks.settle(&line(), Position(7));
        assert!(marks.asks(after(60), 64).is_empty(), "it got on");
        assert_eq!(marks.asks(after(62), 64), [(line(), Position(7))]);
        marks.take(&line(), Position(9));
        assert_eq!((marks.holes(), marks.asks(after(999), 64).len()), (0, 0));
    }

    #[test]
    fn a_line_whose_relay_is_heard_is_asked_for_soon() {
        let mut marks = at(5);
        let start = Instant::now();
        marks.misses(&line(), Position(9), start);
        // Into the void, less and less often.
        let after = |millis| start + Duration::from_millis(millis);
        let asked = [0, 2_000, 6_000].map(|it| marks.asks(after(it), 64).len());
        assert_eq!(asked, [1; 3]);
        marks.hears(&line(), after(7_000));
        assert!(marks.asks(after(7_400), 64).is_empty());
        assert_eq!(marks.asks(after(7_500), 64), [(line(), Position(5))]);
        assert!(marks.asks(after(9_400), 64).is_empty());
        assert_eq!(marks.asks(after(9_500), 64).len(), 1);
    }

    #[test]
    fn a_line_that_ends_where_the_consumer_is_has_no_hole() {
        let mut marks = at(5);
        marks.misses(&line(), Position(9), Instant::now());
        assert!(!marks.ends(&line(), Position(3)), "an old word");
        assert_eq!(marks.holes(), 1);
        assert!(marks.ends(&line(), Position(5)));
        assert_eq!(
            (marks.holes(), marks.settle(&line(), Position(5)).ahead),
            (0, None)
        );
        assert!(!marks.ends(&line(), Position(5)), "there was none");
    }

    #[test]
    fn a_mark_remembers_the_hole_and_never_goes_back() {
        let mut marks = at(5);
        marks.misses(&line(), Position(9), Instant::now());
        let mark = marks.settle(&line(), Position(4));
        assert_eq!(
            (mark.position, mark.ahead),
            (Position(5), Some(Position(9)))
        );
        let mut again = Marks::new(&HashMap::new(), vec![mark], Instant::now());
        assert_eq!(again.asks(Instant::now(), 64), [(line(), Position(5))]);
    }
}
