//! What is announced where and after what: the relay's decisions, without a broker, a store or a clock.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stanchion_runtime::id;
use uuid::Uuid;

use crate::contract::{beacon_of, family, is_beacon};
use crate::{
    Envelope, LogId, Message, Metadata, Origin, PARTITIONS, Place, Position, partition_of,
};

/// How far a relay came: what it goes on from after a crash.
///
/// Within a partition each family of contracts is a **line** of its own, with its own `prev`: a group that a broker gives
/// some contracts only sees its lines whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RelayState {
    /// Every entry up to here is announced and confirmed, but for what the lines in `again` still have before them.
    pub through: Place,
    /// What the broker's store was known by.
    pub store: Option<String>,
    /// The position last announced, by family and partition.
    pub last: BTreeMap<String, [Position; PARTITIONS as usize]>,
    /// The lines that are announced again.
    pub again: Vec<Again>,
}

/// A line that is announced again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Again {
    /// Its partition.
    pub partition: u16,
    /// Its contracts' family.
    pub family: String,
    /// The log was looked through up to here for it.
    pub from: Position,
    /// What was announced before, as who asked for it sees it.
    pub prev: Position,
    /// The last position that is wanted again; `None`: all, and what is new comes after them only.
    pub through: Option<Position>,
}

/// A wish that a stretch of a log be announced again, with new transport ids and the same message ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    /// Only this partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u16>,
    /// Only this family of contracts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// What comes after this position.
    pub after: Position,
    /// Up to this one; `None`: to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Position>,
}

impl RelayState {
    /// A message in its turn; `None` when its line is announced again and comes to it by that.
    pub(super) fn announce(&mut self, message: Message) -> Option<Envelope> {
        let partition = partition_of(&message.key);
        let family = family(&message.contract);
        let left = |again: &Again| again.is(partition, family) && again.through.is_none();
        if self.again.iter().any(left) {
            return None;
        }
        let position = message.origin.position;
        let last = &mut self.line(family)[usize::from(partition)];
        let prev = std::mem::replace(last, position);
        Some(Envelope {
            transport: message.id,
            partition,
            prev,
            message,
        })
    }

    /// A message once more, if its line wants it; it was read with what comes after `start`.
    pub(super) fn repeat(&mut self, start: Position, message: Message) -> Option<Envelope> {
        let partition = partition_of(&message.key);
        let (family, position) = (family(&message.contract), message.origin.position);
        let again = self.again.iter_mut().find(|it| it.is(partition, family))?;
        // A line that was set back while the page was read wants what is before it first.
        if again.from < start || position <= again.from {
            return None;
        }
        if again.through.is_some_and(|end| end < position) {
            return None;
        }
        let prev = std::mem::replace(&mut again.prev, position);
        if again.through.is_none() {
            self.line(family)[usize::from(partition)] = position;
        }
        Some(Envelope {
            transport: id::new_v7(),
            partition,
            prev,
            message,
        })
    }

    /// That one was put aside: its line goes on as if it had never been in it.
    pub(super) fn skip(&mut self, skipped: &Skipped) {
        let last = self.last.get_mut(&skipped.family);
        if let Some(last) = last.map(|line| &mut line[usize::from(skipped.partition)])
            && *last == skipped.position
        {
            *last = skipped.prev;
        }
        for again in &mut self.again {
            if again.is(skipped.partition, &skipped.family) && again.prev == skipped.position {
                again.prev = skipped.prev;
            }
        }
    }

    /// Where the log must be read from for the lines that are announced again.
    pub(super) fn again_from(&self) -> Option<Position> {
        self.again.iter().map(|again| again.from).min()
    }

    /// The log was looked through from `start` up to there for them.
    pub(super) fn repeated(&mut self, start: Position, to: Position) {
        let head = self.through.position;
        for again in self.again.iter_mut().filter(|it| it.from >= start) {
            again.from = again.from.max(to);
        }
        self.again.retain(|again| match again.through {
            Some(end) => again.from < end && again.from < head,
            None => again.from < head,
        });
    }

    /// Takes up a wish; whether there is anything to announce again.
    pub(super) fn redrive(&mut self, wish: &Redrive) -> bool {
        // From outside: before the log's start there is nothing to be read, and what cannot be read is tried for ever.
        let wish = &Redrive {
            after: wish.after.max(Position::START),
            ..wish.clone()
        };
        let lines = self.last.iter().flat_map(|(family, last)| {
            let slots = last.iter().enumerate();
            slots.map(move |(slot, last)| (slot as u16, family.clone(), *last))
        });
        let wanted: Vec<_> = lines
            .filter(|(partition, family, last)| {
                wish.partition.is_none_or(|wanted| wanted == *partition)
                    && wish.family.as_ref().is_none_or(|wanted| wanted == family)
                    && *last > Position::START
            })
            .collect();
        let mut any = false;
        for (partition, family, last) in wanted {
            any |= self.redrive_line(partition, family, last, wish);
        }
        any
    }

    fn redrive_line(
        &mut self,
        partition: u16,
        family: String,
        last: Position,
        wish: &Redrive,
    ) -> bool {
        let known = self.again.iter().position(|it| it.is(partition, &family));
        if known.is_none() && last <= wish.after {
            return false;
        }
        let before = known.map(|index| self.again.swap_remove(index));
        let merged = match before {
            Some(before) if before.from <= wish.after && before.reaches(wish.through) => before,
            before => {
                let from = before
                    .as_ref()
                    .map_or(wish.after, |it| it.from.min(wish.after));
                let through = before.map_or(wish.through, |it| match (it.through, wish.through) {
                    (Some(one), Some(other)) => Some(one.max(other)),
                    _ => None,
                });
                if through.is_none() {
                    self.line(&family)[usize::from(partition)] = from;
                }
                Again {
                    partition,
                    family,
                    from,
                    prev: from,
                    through,
                }
            }
        };
        self.again.push(merged);
        true
    }

    /// One beacon a line: it says what was announced last, so that somebody who missed it learns of it without waiting for
    /// the line's next message.
    pub(super) fn beacons(&self, log: LogId) -> Vec<Envelope> {
        let mut beacons = Vec::new();
        for (family, last) in &self.last {
            for (partition, last) in (0..).zip(last) {
                let catches_up = |it: &Again| it.is(partition, family) && it.through.is_none();
                if *last > Position::START && !self.again.iter().any(catches_up) {
                    beacons.push(beacon(log, family, partition, *last));
                }
            }
        }
        beacons
    }

    fn line(&mut self, family: &str) -> &mut [Position; PARTITIONS as usize] {
        if !self.last.contains_key(family) {
            self.last.insert(family.to_owned(), Default::default());
        }
        self.last.get_mut(family).expect("it was just put there")
    }
}

/// An announcement that the broker takes never.
pub(super) struct Skipped {
    partition: u16,
    family: String,
    position: Position,
    /// What was announced before it.
    pub(super) prev: Position,
}

impl Skipped {
    /// Of that one; a beacon is in no line.
    pub(super) fn of(envelope: &Envelope) -> Option<Self> {
        (!is_beacon(&envelope.message.contract)).then(|| Self {
            partition: envelope.partition,
            family: family(&envelope.message.contract).to_owned(),
            position: envelope.message.origin.position,
            prev: envelope.prev,
        })
    }

    /// Whether that one is the next of its line, or tells that it was the last.
    pub(super) fn precedes(&self, envelope: &Envelope) -> bool {
        envelope.partition == self.partition
            && envelope.prev == self.position
            && family(&envelope.message.contract) == self.family
    }
}

impl Again {
    fn is(&self, partition: u16, family: &str) -> bool {
        self.partition == partition && self.family == family
    }

    fn reaches(&self, through: Option<Position>) -> bool {
        match (self.through, through) {
            (None, _) => true,
            (Some(own), Some(wanted)) => own >= wanted,
            (Some(_), None) => false,
        }
    }
}

fn beacon(log: LogId, family: &str, partition: u16, last: Position) -> Envelope {
    let id: Uuid = id::new_v7();
    let message = Message {
        id,
        contract: beacon_of(family),
        key: String::new(),
        payload: serde_json::Value::Null,
        origin: Origin {
            log,
            position: last,
        },
        metadata: Metadata::new(None),
        at: stanchion_runtime::clock::now(),
    };
    Envelope {
        message,
        partition,
        prev: last,
        transport: id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(position: i64, contract: &str) -> Message {
        Message {
            id: Uuid::from_u128(position as u128),
            contract: contract.into(),
            key: "a".into(),
            payload: serde_json::Value::Null,
            origin: Origin {
                log: LogId(Uuid::nil()),
                position: Position(position),
            },
            metadata: Metadata::new(None),
            at: stanchion_runtime::clock::now(),
        }
    }

    fn announced(positions: &[i64]) -> RelayState {
        let mut state = RelayState::default();
        for position in positions {
            assert!(state.announce(message(*position, "x.y.v1")).is_some());
            state.through.position = Position(*position);
        }
        state
    }

    fn links(envelopes: &[Envelope]) -> Vec<(i64, i64)> {
        let link = |it: &Envelope| (it.prev.0, it.message.origin.position.0);
        envelopes.iter().map(link).collect()
    }

    fn repeat(state: &mut RelayState, positions: &[i64]) -> Vec<Envelope> {
        let start = Position(positions[0] - 1);
        let start = state.again_from().unwrap_or(start).min(start);
        let messages = positions.iter().map(|it| message(*it, "x.y.v1"));
        let repeated = messages.filter_map(|it| state.repeat(start, it)).collect();
        state.repeated(start, Position(*positions.last().unwrap()));
        repeated
    }

    #[test]
    fn a_line_that_is_set_back_while_the_log_is_read_is_not_taken_past_what_it_wants() {
        let mut state = announced(&[1, 4, 6, 8]);
        let after = |position| Redrive {
            after: Position(position),
            ..Redrive::default()
        };
        state.redrive(&after(4));
        // The read begins here, and ends after somebody who is further behind has asked.
        state.redrive(&after(1));
        assert!(state.repeat(Position(4), message(6, "x.y.v1")).is_none());
        state.repeated(Position(4), Position(6));
        assert_eq!(state.again_from(), Some(Position(1)));
        let again = repeat(&mut state, &[1, 4, 6, 8]);
        assert_eq!(links(&again), [(1, 4), (4, 6), (6, 8)]);
    }

    #[test]
    fn a_line_is_chained_and_another_version_is_in_it_and_another_family_is_not() {
        let mut state = announced(&[1, 4]);
        let next = state.announce(message(6, "x.y.v2")).unwrap();
        let other = state.announce(message(7, "x.z.v1")).unwrap();
        assert_eq!(links(&[next, other]), [(4, 6), (0, 7)]);
    }

    #[test]
    fn a_wish_for_what_comes_before_the_start_begins_there() {
        let mut state = announced(&[1, 4]);
        let wish = Redrive {
            after: Position(-1),
            ..Redrive::default()
        };
        assert!(state.redrive(&wish));
        assert_eq!(state.again_from(), Some(Position::START));
        let again = repeat(&mut state, &[1, 4]);
        assert_eq!(links(&again), [(0, 1), (1, 4)]);
    }

    #[test]
    fn what_is_new_waits_until_its_line_was_announced_again() {
        let mut state = announced(&[1, 4, 6]);
        let wish = Redrive {
            after: Position(1),
            ..Redrive::default()
        };
        assert!(state.redrive(&wish));
        assert!(state.announce(message(8, "x.y.v1")).is_none());
        assert!(state.beacons(LogId(Uuid::nil())).is_empty());
        state.through.position = Position(8);
        assert_eq!(state.again_from(), Some(Position(1)));
        let again = repeat(&mut state, &[1, 4, 6]);
        assert_eq!(links(&again), [(1, 4), (4, 6)]);
        assert!(again.iter().all(|it| it.transport != it.message.id));
        assert_eq!(links(&repeat(&mut state, &[8])), [(6, 8)]);
        assert_eq!(state.again_from(), None);
        let next = state.announce(message(9, "x.y.v1")).unwrap();
        assert_eq!(links(&[next]), [(8, 9)]);
    }

    #[test]
    fn a_bounded_stretch_is_announced_again_beside_what_is_new() {
        let mut state = announced(&[1, 4, 6]);
        let wish = Redrive {
            after: Position(0),
            through: Some(Position(4)),
            ..Redrive::default()
        };
        assert!(state.redrive(&wish));
        let next = state.announce(message(8, "x.y.v1")).unwrap();
        assert_eq!(links(&[next]), [(6, 8)]);
        assert_eq!(links(&repeat(&mut state, &[1, 4, 6])), [(0, 1), (1, 4)]);
        assert_eq!(state.again_from(), None);
    }

    #[test]
    fn of_two_wishes_the_one_that_goes_further_back_counts() {
        let mut state = announced(&[1, 4, 6]);
        let after = |position| Redrive {
            after: Position(position),
            ..Redrive::default()
        };
        assert!(state.redrive(&after(4)) && state.redrive(&after(1)) && state.redrive(&after(4)));
        let again = repeat(&mut state, &[1, 4, 6]);
        assert_eq!(links(&again), [(1, 4), (4, 6)]);
        assert!(!state.redrive(&after(6)), "nothing is missing there");
    }

    #[test]
    fn a_beacon_tells_the_last_of_each_line() {
        let state = announced(&[1, 4]);
        let beacons = state.beacons(LogId(Uuid::nil()));
        assert_eq!(links(&beacons), [(4, 4)]);
        assert_eq!(beacons[0].message.contract, "x.y.v0");
    }

    #[test]
    fn the_state_is_small_and_comes_back_as_it_went() {
        let mut state = announced(&[1, 4]);
        state.redrive(&Redrive::default());
        let text = serde_json::to_string(&state).unwrap();
        assert!(text.len() < 400, "{text}");
        assert_eq!(serde_json::from_str::<RelayState>(&text).unwrap(), state);
    }
}
