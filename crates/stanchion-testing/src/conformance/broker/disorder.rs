//! A broker that says things three times, late and in another order: for a consumer and its relay that is one effect each,
//! in order by key.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use stanchion_messaging::{
    BrokerError, Consumer, Contract, Envelope, Forwarder, MemoryConsumerStore, MemoryRelayStore,
    PublishError, Publisher, RelayLimits,
};
use stanchion_runtime::{id, task};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Client;
use super::stage::{CONTRACT, Source, Stage};
use crate::conformance::{Case, cases};
use crate::feed::ListedFeed;

pub(super) const CASES: &[Case<Stage>] =
    cases![what_comes_three_times_late_and_out_of_turn_has_one_effect_in_order_by_key,];

const KEYS: usize = 6;
const EACH: usize = 10;

/// Of so many messages one comes late, and two copies of each later still, up to so long.
const ONE_LATE_OF: u64 = 7;
const LATE_MAX_MS: u64 = 400;

/// Asks begin at once and wait up to a minute while nothing gets on.
const WHOLE_WITHIN: Duration = Duration::from_secs(120);

/// What comes twice comes within this.
const TWICE_WITHIN: Duration = Duration::from_secs(2);

#[derive(Serialize, Deserialize)]
struct ThingHappened {
    position: i64,
}

impl Contract for ThingHappened {
    const NAME: &'static str = CONTRACT;

    fn key(&self) -> String {
        self.position.to_string()
    }
}

/// A way to the broker on which messages are confirmed at once, arrive three times, and some of them after those behind.
struct Disorder {
    publisher: Arc<dyn Publisher>,
    dice: Mutex<u64>,
}

impl Disorder {
    /// splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
    fn roll(&self, sides: u64) -> u64 {
        let mut dice = self.dice.lock();
        *dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    /// On its way, for so long; lost where the broker does not take it then.
    fn later(&self, envelope: Envelope) {
        let late = Duration::from_millis(1 + self.roll(LATE_MAX_MS));
        let publisher = Arc::clone(&self.publisher);
        drop(task::spawn("late", async move {
            sleep(late).await;
            let _lost = publisher.publish(&envelope).await;
        }));
    }
}

#[async_trait]
impl Publisher for Disorder {
    async fn publish(&self, envelope: &Envelope) -> Result<(), PublishError> {
        if self.roll(ONE_LATE_OF) == 0 {
            self.later(envelope.clone());
        } else {
            self.publisher.publish(envelope).await?;
        }
        for _ in 0..2 {
            // Known as a repeat by nobody but who has had it.
            let transport = id::new_v7();
            self.later(Envelope {
                transport,
                ..envelope.clone()
            });
        }
        Ok(())
    }

    async fn store_id(&self) -> Result<String, BrokerError> {
        self.publisher.store_id().await
    }
}

pub(super) type Fold = BTreeMap<String, Vec<i64>>;

/// Effects, each with the key that says that it is there.
#[derive(Default)]
pub(super) struct Effects {
    inbox: HashSet<Uuid>,
    pub(super) fold: Fold,
}

/// What the effects of all of these are.
pub(super) fn fold_of(sent: &[Envelope]) -> Fold {
    let mut fold = Fold::new();
    for envelope in sent {
        let key = envelope.message.key.clone();
        let position = envelope.message.origin.position.0;
        fold.entry(key).or_default().push(position);
    }
    fold
}

async fn what_comes_three_times_late_and_out_of_turn_has_one_effect_in_order_by_key(stage: Stage) {
    let client = stage.client().await;
    let mut source = Source::new();
    let sent = source.rounds(KEYS, EACH);
    let feed = Arc::new(ListedFeed::new("suite", sent[0].message.origin.log));
    let expected = fold_of(&sent);
    for envelope in &sent {
        feed.push(envelope.message.clone());
    }
    let seed = stage.prefix.bytes().fold(7, |seed, byte| {
        u64::wrapping_mul(seed, 31).wrapping_add(u64::from(byte))
    });
    let effects = Arc::new(Mutex::new(Effects::default()));
    let consuming = task::spawn("consumer", consume(&client, &effects));
    let relaying = task::spawn("relay", relay(&client, feed, seed));
    let begun = Instant::now();
    let total = |fold: &Fold| fold.values().map(Vec::len).sum::<usize>();
    while total(&effects.lock().fold) < sent.len() {
        let late = begun.elapsed() > WHOLE_WITHIN;
        assert!(!late, "seed {seed}: saw {:?}", effects.lock().fold);
        sleep(Duration::from_millis(50)).await;
    }
    sleep(TWICE_WITHIN).await;
    assert_eq!(effects.lock().fold, expected, "seed {seed}");
    consuming.abort();
    relaying.abort();
}

pub(super) fn consume(
    client: &Client,
    effects: &Arc<Mutex<Effects>>,
) -> impl Future<Output = ()> + Send + 'static {
    let (store, effects) = (MemoryConsumerStore::default(), Arc::clone(effects));
    let consumer = Consumer::new("readers", Arc::new(store), Arc::clone(&client.subscriber))
        .asking(Arc::clone(&client.publisher))
        .on(move |thing: ThingHappened, received| {
            let effects = Arc::clone(&effects);
            async move {
                let mut effects = effects.lock();
                if effects.inbox.insert(received.id) {
                    let of_key = effects.fold.entry(received.key).or_default();
                    of_key.push(thing.position);
                }
                Ok(())
            }
        });
    consumer.run(CancellationToken::new())
}

fn relay(
    client: &Client,
    feed: Arc<ListedFeed>,
    seed: u64,
) -> impl Future<Output = ()> + Send + 'static {
    let disorder = Disorder {
        publisher: Arc::clone(&client.publisher),
        dice: Mutex::new(seed),
    };
    let store = Arc::new(MemoryRelayStore::default());
    let relay = Forwarder::new(feed, Arc::new(disorder), store)
        .asked_through(Arc::clone(&client.subscriber))
        .limits(RelayLimits {
            beacon_every: Duration::from_secs(2),
            ..RelayLimits::default()
        });
    relay.run(CancellationToken::new())
}
