//! What was delivered and is not dealt with yet: keys at the same time, each key in order, deliveries settled in theirs.

use std::collections::{HashMap, HashSet, VecDeque};

use tokio::time::Instant;

use super::marks::Line;
use crate::size::bytes_of;
use crate::{LogId, Message, Place, Position, Receipt, partition_of};

/// Deliveries in flight, at most: the last ones may be without messages.
const DELIVERIES_MAX: usize = 64;

/// One message to deal with.
pub(super) struct Work {
    pub(super) message: Message,
    /// An earlier one of its key is parked: it waits behind that.
    pub(super) blocked: bool,
    /// It was delivered too often: it is put aside without another attempt.
    pub(super) given_up: bool,
}

/// What there is to do once a delivery is dealt with.
pub(super) struct Ending {
    /// What the broker is told.
    pub(super) receipt: Option<Receipt>,
    /// Where the consumer is then in a log that it reads itself.
    pub(super) place: Option<(LogId, Place)>,
    /// And in lines of announcements; `None` where it had only repeats, which end after what they repeat.
    pub(super) lines: Vec<(Line, Option<Position>)>,
    /// When it came.
    pub(super) since: Instant,
}

struct Underway {
    number: u64,
    left: usize,
    ending: Ending,
}

struct Waiting {
    number: u64,
    bytes: usize,
    given_up: bool,
    message: Message,
}

#[derive(Default)]
struct Lane {
    queue: VecDeque<Waiting>,
    /// The delivery whose message is being handled, and what that takes.
    busy: Option<(u64, usize)>,
    blocked: bool,
}

#[derive(Default)]
pub(super) struct Flight {
    lanes: HashMap<String, Lane>,
    /// Keys whose next message may be handled.
    ready: VecDeque<String>,
    deliveries: VecDeque<Underway>,
    numbers: u64,
    messages: usize,
    bytes: usize,
    /// Keys whose messages were parked since somebody began to look which are.
    parked: HashSet<String>,
    /// A delivery came to its end since it was last looked which can be settled: without one there is none that could not
    /// be before.
    any_ended: bool,
}

impl Flight {
    pub(super) fn has_room(&self, messages_max: usize, bytes_max: usize) -> bool {
        self.messages < messages_max
            && self.bytes < bytes_max
            && self.deliveries.len() < DELIVERIES_MAX
    }

    /// Messages that are not dealt with, and the memory that they take, about.
    pub(super) fn taken(&self) -> (usize, usize) {
        (self.messages, self.bytes)
    }

    /// From here on it is remembered which keys are parked meanwhile.
    pub(super) fn watch_parked(&mut self) {
        self.parked.clear();
    }

    /// Keys whose messages were parked since then.
    pub(super) fn parked_since(&self) -> &HashSet<String> {
        &self.parked
    }

    /// Adds a delivery's messages; `blocked` are the keys that had parked messages when that was looked at, and what is of
    /// the partitions `given_up` was delivered too often.
    pub(super) fn admit(
        &mut self,
        messages: Vec<Message>,
        ending: Ending,
        blocked: &HashSet<String>,
        given_up: &HashSet<u16>,
    ) {
        let number = self.numbers;
        self.numbers += 1;
        self.messages += messages.len();
        let left = messages.len();
        self.any_ended |= left == 0;
        self.deliveries.push_back(Underway {
            number,
            left,
            ending,
        });
        for message in messages {
            let key = message.key.clone();
            let lane = self.lanes.entry(key.clone()).or_insert_with(|| Lane {
                blocked: self.parked.contains(&key),
                ..Lane::default()
            });
            // Also behind one that is being handled here: another member may have had that as well, and parked the next.
            lane.blocked |= blocked.contains(&key);
            if lane.busy.is_none() && lane.queue.is_empty() {
                self.ready.push_back(key);
            }
            let bytes = bytes_of(&message);
            self.bytes += bytes;
            let is_given_up = || given_up.contains(&partition_of(&message.key));
            lane.queue.push_back(Waiting {
                number,
                bytes,
                given_up: !given_up.is_empty() && is_given_up(),
                message,
            });
        }
    }

    /// The next message of a key that has none being handled.
    pub(super) fn next(&mut self) -> Option<Work> {
        let key = self.ready.pop_front()?;
        let lane = self.lanes.get_mut(&key)?;
        let next = lane.queue.pop_front()?;
        lane.busy = Some((next.number, next.bytes));
        Some(Work {
            message: next.message,
            blocked: lane.blocked,
            given_up: next.given_up,
        })
    }

    /// A key's message was dealt with: handled, or parked.
    pub(super) fn done(&mut self, key: &str, parked: bool) {
        let Some(lane) = self.lanes.get_mut(key) else {
            return;
        };
        let (number, bytes) = lane.busy.take().unzip();
        lane.blocked |= parked;
        if parked {
            self.parked.insert(key.to_owned());
        }
        if lane.queue.is_empty() {
            self.lanes.remove(key);
        } else {
            self.ready.push_back(key.to_owned());
        }
        self.messages -= 1;
        self.bytes -= bytes.unwrap_or_default();
        let delivery = self
            .deliveries
            .iter_mut()
            .find(|it| Some(it.number) == number);
        if let Some(delivery) = delivery {
            delivery.left -= 1;
            self.any_ended |= delivery.left == 0;
        }
    }

    /// At a stop nothing more is begun: what waits is given back.
    pub(super) fn give_back(&mut self) {
        self.ready.clear();
        self.lanes.retain(|_, lane| {
            lane.queue.clear();
            lane.busy.is_some()
        });
    }

    /// Deliveries that are dealt with, but for those behind an unfinished one of their log or line.
    pub(super) fn settled(&mut self) -> Vec<Ending> {
        if !std::mem::take(&mut self.any_ended) {
            return Vec::new();
        }
        let can_settle = self.can_settle();
        let (mut settled, mut rest) = (Vec::new(), VecDeque::new());
        for (delivery, can_settle) in self.deliveries.drain(..).zip(can_settle) {
            if can_settle {
                settled.push(delivery.ending);
            } else {
                rest.push_back(delivery);
            }
        }
        self.deliveries = rest;
        settled
    }

    /// Whether each can be, in their order.
    fn can_settle(&self) -> Vec<bool> {
        let (mut logs, mut lines) = (HashSet::new(), HashSet::new());
        let each = self.deliveries.iter().map(|delivery| {
            let ending = &delivery.ending;
            let waits = ending.place.is_some_and(|(log, _)| logs.contains(&log))
                || ending.lines.iter().any(|(line, _)| lines.contains(line));
            let can_settle = delivery.left == 0 && !waits;
            if !can_settle {
                logs.extend(ending.place.map(|(log, _)| log));
                lines.extend(ending.lines.iter().map(|(line, _)| line));
            }
            can_settle
        });
        each.collect()
    }

    /// The receipts of deliveries that came before that time.
    pub(super) fn older_than(&self, time: Instant) -> Vec<Receipt> {
        let old = self.deliveries.iter().filter(|it| it.ending.since <= time);
        old.filter_map(|it| it.ending.receipt).collect()
    }
}

#[cfg(test)]
mod tests;
