//! A group's member, as a consumer is one: it takes, it acknowledges, and subscribes anew after an error.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_messaging::{
    Delivery, Envelope, Group, Link, Message, Progress, Receipt, Subscriber, Subscription,
    partition_of,
};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::Client;
use super::stage::{CONTRACT, STEP_MAX};

/// How long a consumer waits after its broker failed.
const RECOVER: Duration = Duration::from_millis(100);

pub(super) struct Member {
    subscriber: Arc<dyn Subscriber>,
    group: Group,
    subscription: Option<Box<dyn Subscription>>,
    subscriptions: u64,
}

/// A delivery with messages.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) messages: Vec<Message>,
    pub(super) links: Vec<Link>,
    pub(super) receipt: Receipt,
}

impl Member {
    pub(super) async fn join(client: &Client, group: &str) -> Self {
        let mut member = Self {
            subscriber: Arc::clone(&client.subscriber),
            group: Group {
                name: group.to_owned(),
                contracts: vec![CONTRACT],
                progress: HashMap::new(),
            },
            subscription: None,
            subscriptions: 0,
        };
        member.subscription().await;
        member
    }

    /// The subscription, made anew where the last one failed.
    pub(super) async fn subscription(&mut self) -> &mut dyn Subscription {
        let begun = Instant::now();
        while self.subscription.is_none() {
            match self.subscriber.subscribe(self.group.clone()).await {
                Ok(subscription) => {
                    self.subscription = Some(subscription);
                    self.subscriptions += 1;
                }
                Err(error) => {
                    assert!(begun.elapsed() < STEP_MAX, "never subscribed: {error}");
                    sleep(RECOVER).await;
                }
            }
        }
        self.subscription.as_mut().unwrap().as_mut()
    }

    /// The next delivery that has messages.
    pub(super) async fn take(&mut self) -> Taken {
        let taken = self.take_within(STEP_MAX).await;
        taken.expect("nothing was delivered")
    }

    /// The next delivery that has messages, or `None` after so long. One without is acknowledged.
    pub(super) async fn take_within(&mut self, longest: Duration) -> Option<Taken> {
        let end = Instant::now() + longest;
        loop {
            let taken = Taken::of(self.delivered_until(end).await?);
            if !taken.messages.is_empty() {
                return Some(taken);
            }
            self.acknowledge(&taken).await;
        }
    }

    /// The next delivery as it came, with the relay's beacons, which are nobody's messages.
    pub(super) async fn delivered(&mut self) -> Delivery {
        let delivery = self.delivered_until(Instant::now() + STEP_MAX).await;
        delivery.expect("nothing came")
    }

    async fn delivered_until(&mut self, end: Instant) -> Option<Delivery> {
        loop {
            let left = end.checked_duration_since(Instant::now())?;
            let next = async { self.subscription().await.next().await };
            match timeout(left, next).await.ok()? {
                Ok(delivery) => return Some(delivery),
                Err(_error) => self.lose().await,
            }
        }
    }

    async fn lose(&mut self) {
        self.subscription = None;
        sleep(RECOVER).await;
    }

    /// Whose time it is, of each partition of what was taken last.
    pub(super) fn tenures(&self, taken: &Taken) -> Vec<(u16, Option<Tenure>)> {
        let tenure = |partition| {
            let subscription = self.subscription.as_ref()?;
            Some((self.subscriptions, subscription.tenure(partition)?))
        };
        let each = partitions(taken).into_iter();
        each.map(|partition| (partition, tenure(partition)))
            .collect()
    }

    /// False when the broker did not hear it: the delivery comes again, as it does to a consumer.
    pub(super) async fn acknowledge(&mut self, taken: &Taken) -> bool {
        self.acknowledge_receipt(taken.receipt).await
    }

    pub(super) async fn acknowledge_receipt(&mut self, receipt: Receipt) -> bool {
        let Some(subscription) = &mut self.subscription else {
            return false;
        };
        let heard = subscription.acknowledge(receipt).await.is_ok();
        if !heard {
            self.lose().await;
        }
        heard
    }

    /// Takes and acknowledges until every one of these has come.
    pub(super) async fn take_all(&mut self, envelopes: &[Envelope]) -> Vec<Message> {
        let mut wanted: HashSet<Uuid> = envelopes.iter().map(|one| one.message.id).collect();
        let mut messages = Vec::new();
        while !wanted.is_empty() {
            let left = wanted.len();
            let taken = self.take_within(STEP_MAX).await;
            let taken = taken.unwrap_or_else(|| panic!("{left} of {} lost", envelopes.len()));
            self.acknowledge(&taken).await;
            for message in taken.messages {
                wanted.remove(&message.id);
                messages.push(message);
            }
        }
        messages
    }

    /// Nothing is delivered for so long.
    pub(super) async fn quiet(&mut self, long: Duration) {
        let taken = self.take_within(long).await;
        assert!(taken.is_none(), "not quiet: {taken:?}");
    }

    /// Gives back what it has, by going away.
    pub(super) fn leave(self) {}
}

impl Taken {
    pub(super) fn of(delivery: Delivery) -> Self {
        let Progress::Receipt { receipt, links } = delivery.progress else {
            panic!("a broker gives receipts: {:?}", delivery.progress);
        };
        let messages = delivery.messages;
        for message in &messages {
            let origin = message.origin;
            let of_it = |link: &&Link| link.log == origin.log && link.position == origin.position;
            let link = links.iter().find(of_it).expect("a message has its link");
            assert_eq!(link.partition, partition_of(&message.key));
            assert!(link.prev < link.position, "{link:?}");
        }
        Self {
            messages,
            links,
            receipt,
        }
    }
}

/// Each key's messages came in the order of their log, if repeats are left out.
pub(super) fn assert_in_order(messages: &[Message]) {
    let mut seen = HashSet::new();
    let mut last: HashMap<&str, i64> = HashMap::new();
    for message in messages {
        if !seen.insert(message.id) {
            continue;
        }
        let position = message.origin.position.0;
        let before = last.insert(&message.key, position).unwrap_or_default();
        let key = &message.key;
        assert!(before < position, "{key}: {position} came after {before}");
    }
}

/// A member's time with a partition: by which of its subscriptions, and which of that one's.
pub(super) type Tenure = (u64, u64);

/// Who has unacknowledged messages of which partition.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    holders: HashMap<u16, usize>,
    /// Who had something of a partition last.
    last: HashMap<u16, usize>,
    tenures: HashMap<(usize, u16), Tenure>,
}

impl Ledger {
    /// A member got these; nobody else has any of their partitions, and if somebody had, it says that its time is another.
    pub(super) fn took(&self, member: usize, tenures: &[(u16, Option<Tenure>)]) {
        let mut entries = self.0.lock();
        for (partition, tenure) in tenures {
            let holder = *entries.holders.entry(*partition).or_insert(member);
            assert_eq!(holder, member, "partition {partition} has two members");
            let before = entries.last.insert(*partition, member);
            let Some(tenure) = tenure else { continue };
            let known = entries.tenures.insert((member, *partition), *tenure);
            assert!(
                before == Some(member) || known != Some(*tenure),
                "partition {partition} was somebody else's meanwhile, and {member} says {known:?}"
            );
        }
    }

    /// Before it is acknowledged: a moment later somebody else may have the partition.
    pub(super) fn gives(&self, member: usize, taken: &Taken) {
        let holders = &mut self.0.lock().holders;
        for partition in partitions(taken) {
            assert_eq!(holders.remove(&partition), Some(member));
        }
    }
}

fn partitions(taken: &Taken) -> HashSet<u16> {
    let keys = taken.messages.iter().map(|message| &message.key);
    keys.map(|key| partition_of(key)).collect()
}
