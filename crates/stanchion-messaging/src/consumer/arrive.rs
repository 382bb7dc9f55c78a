//! What a delivery brings: which of its messages are next, repeats, or beyond a hole.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::SignedDuration;
use stanchion_runtime::clock;
use tokio::time::Instant;

use super::attempt::doubtful;
use super::flight::Ending;
use super::follow::{Follow, Wait};
use super::marks::{Line, Verdict};
use super::waits::{Ask, Stretch, Tenure};
use crate::contract::{family, is_beacon};
use crate::{Delivery, Link, LogId, Mark, Message, PARTITIONS, Position, Progress, Subscription};

/// How often the stored marks are looked at, which another member of the group may have moved.
const REFRESH: Duration = Duration::from_secs(60);

/// For so long an inbox keeps the key of a message at least.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A delivery with what had to be looked up for it.
pub(super) struct Arrived {
    delivery: Delivery,
    since: Instant,
    blocked: HashSet<String>,
    learned: Option<Learned>,
    marks: Option<Vec<Mark>>,
    given_up: HashSet<u16>,
}

/// All keys that have parked messages, unless they are too many, and who had which stretch when that was looked at.
struct Learned {
    keys: Option<HashSet<String>>,
    tenures: Vec<Tenure>,
}

impl<'a> Follow<'a> {
    /// Takes a delivery up at once where memory knows enough of it; else gives what it waits for.
    pub(super) fn arrives(
        &mut self,
        delivery: Delivery,
        subscription: Option<&dyn Subscription>,
    ) -> Wait<'a, Result<Arrived, String>> {
        self.flight.watch_parked();
        let since = Instant::now();
        let stale = since.duration_since(self.refreshed) >= REFRESH || self.misses_any(&delivery);
        if stale {
            self.refreshed = since;
        }
        let tenures = tenures(&delivery, subscription);
        // A broker counts what came back for whatever reason. Where it is this consumer's store that fails, nothing was wrong
        // with a message; what ends its process does so in the next one, before anything else interrupts that.
        self.was_given = true;
        let given_up = match self.consumer.outlived_failure.load(Ordering::Relaxed) {
            true => HashSet::new(),
            false => given_up(&tenures, subscription),
        };
        let ask = self.waits.ask(&tenures, keys(&delivery), since);
        let arrived = Arrived {
            delivery,
            since,
            blocked: HashSet::new(),
            learned: None,
            marks: None,
            given_up,
        };
        let is_known = ask == Ask::Keys(Vec::new()) && self.begins(&arrived.delivery).is_none();
        if !stale && is_known {
            self.admit(arrived);
            return None;
        }
        let everywhere = everywhere(tenures, subscription);
        Some(self.look_up(arrived, ask, everywhere, stale))
    }

    /// The log that this process begins with, and after which place.
    fn begins(&self, delivery: &Delivery) -> Option<(LogId, Position)> {
        let Progress::Place { log, .. } = &delivery.progress else {
            return None;
        };
        let begins = !delivery.messages.is_empty() && self.consumer.is_new_to(*log);
        begins.then(|| (*log, self.marks.place(*log)))
    }

    /// Looks up what a delivery's messages need: which keys have parked ones, and the stored marks if something seems
    /// missing, for another member of the group may have been there. Counts first that they are begun with.
    fn look_up(
        &self,
        mut arrived: Arrived,
        ask: Ask,
        tenures: Vec<Tenure>,
        stale: bool,
    ) -> BoxFuture<'a, Result<Arrived, String>> {
        let (consumer, begins) = (self.consumer, self.begins(&arrived.delivery));
        Box::pin(async move {
            if let Some((log, after)) = begins {
                consumer.begin_after(log, after).await?;
            }
            let suspects = match ask {
                Ask::Keys(suspects) => suspects,
                Ask::All => {
                    let all = consumer.parked_keys().await?;
                    let may_wait = |key: &&str| all.as_ref().is_none_or(|all| all.contains(*key));
                    let suspects = keys(&arrived.delivery).into_iter().filter(may_wait);
                    let suspects = suspects.map(str::to_owned).collect();
                    arrived.learned = Some(Learned { keys: all, tenures });
                    suspects
                }
            };
            arrived.blocked = consumer.blocked(&suspects).await?;
            if stale {
                let marks = consumer.store.marks(consumer.name).await;
                arrived.marks = Some(marks.map_err(|error| error.to_string())?);
            }
            Ok(arrived)
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
        if let Some(Learned { keys, tenures }) = arrived.learned {
            let parked = self.flight.parked_since();
            self.waits.learn(keys, parked, &tenures, arrived.since);
        }
        let (mut blocked, given_up) = (arrived.blocked, &arrived.given_up);
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
                let new: Vec<Message> = new.collect();
                blocked.extend(self.consumer.suspects(log, &new));
                new
            }
            Progress::Receipt { receipt, links } => {
                ending.receipt = Some(receipt);
                self.judge(messages, &links, &mut ending.lines, now)
            }
        };
        self.flight.admit(messages, ending, &blocked, given_up);
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

/// The keys of a delivery's messages; a beacon is nobody's.
fn keys(delivery: &Delivery) -> HashSet<&str> {
    let own = delivery.messages.iter();
    let own = own.filter(|message| !is_beacon(&message.contract));
    own.map(|message| message.key.as_str()).collect()
}

/// What the messages are of, and in whose time.
fn tenures(delivery: &Delivery, subscription: Option<&dyn Subscription>) -> Vec<Tenure> {
    match &delivery.progress {
        Progress::Place { log, .. } => vec![(Stretch::Log(*log), Some(0))],
        Progress::Receipt { links, .. } => {
            let partitions: BTreeSet<u16> = links.iter().map(|link| link.partition).collect();
            let tenure = |partition| subscription.and_then(|it| it.tenure(partition));
            let each = partitions.into_iter();
            each.map(|partition| (Stretch::Partition(partition), tenure(partition)))
                .collect()
        }
    }
}

/// The partitions of those of which the broker has delivered the same too often.
fn given_up(tenures: &[Tenure], subscription: Option<&dyn Subscription>) -> HashSet<u16> {
    let gives_up = |partition| subscription.is_some_and(|it| it.gives_up(partition));
    let partitions = tenures.iter().filter_map(|(stretch, _)| match stretch {
        Stretch::Partition(partition) => Some(*partition),
        Stretch::Log(_) => None,
    });
    partitions
        .filter(|partition| gives_up(*partition))
        .collect()
}

/// All partitions with those: a look at the store shows what is parked of any.
fn everywhere(mut tenures: Vec<Tenure>, subscription: Option<&dyn Subscription>) -> Vec<Tenure> {
    let Some(subscription) = subscription else {
        return tenures;
    };
    let all = (0..PARTITIONS).map(|it| (Stretch::Partition(it), subscription.tenure(it)));
    tenures.extend(all.filter(|(_, tenure)| tenure.is_some()));
    tenures
}

fn line(message: &Message, link: &Link) -> Line {
    Line {
        log: link.log,
        partition: link.partition,
        family: family(&message.contract).to_owned(),
    }
}
