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
                blocked: blocked.contains(&key) || self.parked.contains(&key),
                ..Lane::default()
            });
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
mod tests {
    use super::*;
    use crate::{Metadata, Origin};
    use uuid::Uuid;

    const LOG: LogId = LogId(Uuid::nil());

    fn message(key: &str, position: i64) -> Message {
        Message {
            id: Uuid::from_u128(position as u128),
            contract: "x.y.v1".into(),
            key: key.into(),
            payload: serde_json::Value::Null,
            origin: Origin {
                log: LOG,
                position: Position(position),
            },
            metadata: Metadata::new(None),
            at: stanchion_runtime::clock::now(),
        }
    }

    fn line(partition: u16, position: i64) -> (Line, Option<Position>) {
        let line = Line {
            log: LOG,
            partition,
            family: "x.y".into(),
        };
        (line, Some(Position(position)))
    }

    fn deliver(flight: &mut Flight, receipt: u64, partition: u16, messages: &[(&str, i64)]) {
        let last = messages.last().map_or(0, |(_, position)| *position);
        let ending = Ending {
            receipt: Some(Receipt(receipt)),
            place: None,
            lines: vec![line(partition, last)],
            since: Instant::now(),
        };
        let messages = messages
            .iter()
            .map(|(key, position)| message(key, *position));
        let none = (HashSet::new(), HashSet::new());
        flight.admit(messages.collect(), ending, &none.0, &none.1);
    }

    fn begun(flight: &mut Flight) -> Vec<(i64, bool)> {
        let next = std::iter::from_fn(|| flight.next());
        next.map(|it| (it.message.origin.position.0, it.blocked))
            .collect()
    }

    fn settled(flight: &mut Flight) -> Vec<u64> {
        let settled = flight.settled().into_iter();
        settled.map(|it| it.receipt.unwrap().0).collect()
    }

    #[test]
    fn a_key_is_handled_in_order_across_deliveries_and_other_keys_beside_it() {
        let mut flight = Flight::default();
        deliver(&mut flight, 1, 0, &[("a", 1), ("b", 2), ("a", 3)]);
        deliver(&mut flight, 2, 0, &[("a", 4), ("b", 5)]);
        assert_eq!(begun(&mut flight), [(1, false), (2, false)]);
        flight.done("b", false);
        assert_eq!(begun(&mut flight), [(5, false)]);
        flight.done("b", false);
        flight.done("a", false);
        assert_eq!(begun(&mut flight), [(3, false)]);
        assert!(settled(&mut flight).is_empty());
        flight.done("a", false);
        assert_eq!(settled(&mut flight), [1]);
        assert_eq!(flight.taken().0, 1);
        begun(&mut flight);
        flight.done("a", false);
        assert_eq!(flight.taken(), (0, 0));
    }

    #[test]
    fn a_delivery_is_settled_after_the_earlier_ones_of_its_line_and_before_others() {
        let mut flight = Flight::default();
        deliver(&mut flight, 1, 0, &[("a", 1)]);
        deliver(&mut flight, 2, 0, &[("b", 2)]);
        deliver(&mut flight, 3, 1, &[("c", 3)]);
        deliver(&mut flight, 4, 1, &[]);
        begun(&mut flight);
        flight.done("b", false);
        flight.done("c", false);
        assert_eq!(settled(&mut flight), [3, 4]);
        flight.done("a", false);
        assert_eq!(settled(&mut flight), [1, 2]);
    }

    #[test]
    fn what_comes_after_a_parked_message_of_its_key_waits_behind_it() {
        let mut flight = Flight::default();
        deliver(&mut flight, 1, 0, &[("a", 1), ("a", 2)]);
        flight.watch_parked();
        begun(&mut flight);
        flight.done("a", true);
        assert_eq!(begun(&mut flight), [(2, true)]);
        flight.done("a", true);
        // Whether a is parked was looked at before it was.
        deliver(&mut flight, 2, 0, &[("a", 3)]);
        assert_eq!(begun(&mut flight), [(3, true)]);
    }

    #[test]
    fn a_stop_gives_back_what_was_not_begun() {
        let mut flight = Flight::default();
        deliver(&mut flight, 1, 0, &[("a", 1)]);
        deliver(&mut flight, 2, 1, &[("b", 2), ("b", 3)]);
        begun(&mut flight);
        flight.give_back();
        flight.done("a", false);
        flight.done("b", false);
        assert!(begun(&mut flight).is_empty());
        assert_eq!(settled(&mut flight), [1]);
    }
}
