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
mod tests;
