//! What a delivery brings: which of its messages are next, repeats, or beyond a hole.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::SignedDuration;
use stanchion_runtime::clock;
use tokio::time::Instant;

use super::attempt::doubtful;
use super::flight::Ending;
use super::follow::Follow;
use super::marks::{Line, Verdict};
use crate::contract::{family, is_beacon};
use crate::{Delivery, Link, Mark, Message, Position, Progress};

/// How often the stored marks are looked at, which another member of the group may have moved.
const REFRESH: Duration = Duration::from_secs(60);

/// For so long an inbox keeps the key of a message at least.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A delivery with what had to be looked up for it.
pub(super) struct Arrived {
    delivery: Delivery,
    since: Instant,
    blocked: HashSet<String>,
    marks: Option<Vec<Mark>>,
}

impl<'a> Follow<'a> {
    /// Looks up what a delivery's messages need: which keys have parked ones, and the stored marks if something seems
    /// missing, for another member of the group may have been there.
    pub(super) fn look_up(&mut self, delivery: Delivery) -> BoxFuture<'a, Result<Arrived, String>> {
        self.flight.watch_parked();
        let since = Instant::now();
        let stale = since.duration_since(self.refreshed) >= REFRESH || self.misses_any(&delivery);
        if stale {
            self.refreshed = since;
        }
        let consumer = self.consumer;
        Box::pin(async move {
            let blocked = consumer.blocked(&delivery.messages).await?;
            let marks = if stale {
                let marks = consumer.store.marks(consumer.name).await;
                Some(marks.map_err(|error| error.to_string())?)
            } else {
                None
            };
            Ok(Arrived {
                delivery,
                since,
                blocked,
                marks,
            })
        })
    }

    fn misses_any(&self, delivery: &Delivery) -> bool {
        let Progress::Receipt { links, .. } = &delivery.progress else {
            return false;
        };
        let mut seen = HashSet::new();
        let mut linked = delivery.messages.iter().zip(links);
        linked.any(|(message, link)| {
            let line = line(message, link);
            // A later one of the line follows the first one.
            let missing = self.marks.look(&line, link) == Verdict::Missing;
            seen.insert(line) && missing
        })
    }

    pub(super) fn admit(&mut self, arrived: Arrived) {
        let now = Instant::now();
        if let Some(marks) = arrived.marks {
            self.marks.refresh(marks, now);
        }
        let Delivery { messages, progress } = arrived.delivery;
        let mut ending = Ending {
            receipt: None,
            place: None,
            lines: Vec::new(),
            since: arrived.since,
        };
        let messages = match progress {
            Progress::Place { log, through } => {
                ending.place = Some((log, through));
                let new = messages.into_iter().filter(|it| !self.marks.is_behind(it));
                new.collect()
            }
            Progress::Receipt { receipt, links } => {
                ending.receipt = Some(receipt);
                self.judge(messages, &links, &mut ending.lines, now)
            }
        };
        self.flight.admit(messages, ending, &arrived.blocked);
        self.consumer.show_holes(self.marks.holes());
        self.consumer.show_taken(self.flight.taken());
    }

    /// The messages whose turn it is; `lines` are told how far each one comes by them.
    fn judge(
        &mut self,
        messages: Vec<Message>,
        links: &[Link],
        lines: &mut Vec<(Line, Option<Position>)>,
        now: Instant,
    ) -> Vec<Message> {
        let mut next = Vec::with_capacity(messages.len());
        for (index, message) in messages.into_iter().enumerate() {
            let link = links.get(index).copied();
            let Some(link) = link.filter(|link| link.position > Position::START) else {
                next.push(self.unlinked(message, link));
                continue;
            };
            let line = line(&message, &link);
            let beacon = is_beacon(&message.contract);
            let dealt_with = match self.marks.look(&line, &link) {
                // That the hole is gone is stored.
                Verdict::Repeat if beacon => {
                    let closed = self.marks.ends(&line, link.position);
                    closed.then_some(Position::START)
                }
                Verdict::Repeat => {
                    self.consumer.count("repeated");
                    None
                }
                Verdict::Missing if beacon || self.consumer.publisher.is_some() => {
                    self.consumer.count("early");
                    match beacon {
                        true => self.marks.hears(&line, link.position, now),
                        false => self.marks.misses(&line, link.position, now),
                    }
                    Some(Position::START)
                }
                verdict => {
                    if verdict == Verdict::Missing {
                        self.consumer.count("unlinked");
                    }
                    self.marks.take(&line, link.position);
                    next.push(message);
                    Some(link.position)
                }
            };
            match lines.iter_mut().find(|(known, _)| *known == line) {
                Some((_, position)) => *position = dealt_with.max(*position),
                None => lines.push((line, dealt_with)),
            }
        }
        next
    }
}

impl Follow<'_> {
    /// A message that follows nothing. A relay's letter of what was announced before is in doubt where the consumer is past
    /// that place and the inbox may have forgotten it.
    fn unlinked(&self, message: Message, link: Option<Link>) -> Message {
        let before = link.filter(|link| link.prev > Position::START);
        let is_doubtful = before.is_some_and(|link| {
            let age = clock::now().duration_since(message.at);
            self.marks.is_past(&line(&message, &link), link.prev) && age >= FORGOTTEN_AFTER
        });
        match is_doubtful {
            true => doubtful(message),
            false => message,
        }
    }
}

fn line(message: &Message, link: &Link) -> Line {
    Line {
        log: link.log,
        partition: link.partition,
        family: family(&message.contract).to_owned(),
    }
}
