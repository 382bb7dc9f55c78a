//! B6: a relay that is killed at each step of its way to a real server, which tells no repeats by their ids.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use stanchion_messaging::{
    BrokerError, ConsumerStore, Envelope, Forwarder, LogId, MemoryRelayStore, Message, Metadata,
    Origin, Position, PublishError, Publisher, Redrive, RelayLimits, RelayState, RelayStore,
    StoreError, Subscription,
};
use stanchion_rabbitmq::RabbitMq;
use stanchion_runtime::{clock, id, task};
use stanchion_testing::feed::ListedFeed;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::bounds::{CONTRACT, acknowledge, join, next, open, settings};

const LONG: Duration = Duration::from_secs(60);
const KEYS: i64 = 5;

/// Where a relay is stopped for ever.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Point {
    BeforePublish,
    AfterPublish,
    BeforeSave,
    AfterSave,
}

/// Stops whoever comes to that point for so many times.
struct Trap {
    point: Point,
    left: Mutex<usize>,
    caught: Notify,
}

impl Trap {
    async fn pass(&self, point: Point) {
        if self.point != point {
            return;
        }
        let is_caught = {
            let mut left = self.left.lock();
            *left = left.saturating_sub(1);
            *left == 0
        };
        if is_caught {
            self.caught.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

struct Trapped<T> {
    inner: T,
    trap: Arc<Trap>,
}

#[async_trait]
impl Publisher for Trapped<RabbitMq> {
    async fn publish(&self, envelope: &Envelope) -> Result<(), PublishError> {
        self.publish_all(std::slice::from_ref(envelope)).await
    }

    async fn publish_all(&self, envelopes: &[Envelope]) -> Result<(), PublishError> {
        self.trap.pass(Point::BeforePublish).await;
        let published = self.inner.publish_all(envelopes).await;
        self.trap.pass(Point::AfterPublish).await;
        published
    }

    async fn store_id(&self) -> Result<String, BrokerError> {
        self.inner.store_id().await
    }
}

#[async_trait]
impl RelayStore for Trapped<Arc<MemoryRelayStore>> {
    async fn take(&self, relay: &str, ttl: Duration) -> Result<Option<i64>, StoreError> {
        self.inner.take(relay, ttl).await
    }

    async fn renew(&self, relay: &str, token: i64, ttl: Duration) -> Result<bool, StoreError> {
        self.inner.renew(relay, token, ttl).await
    }

    async fn release(&self, relay: &str, token: i64) -> Result<(), StoreError> {
        self.inner.release(relay, token).await
    }

    async fn load(
        &self,
        relay: &str,
        log: LogId,
        token: i64,
    ) -> Result<Option<RelayState>, StoreError> {
        self.inner.load(relay, log, token).await
    }

    async fn save(
        &self,
        relay: &str,
        log: LogId,
        token: i64,
        state: &RelayState,
    ) -> Result<bool, StoreError> {
        self.trap.pass(Point::BeforeSave).await;
        let saved = self.inner.save(relay, log, token, state).await;
        self.trap.pass(Point::AfterSave).await;
        saved
    }

    fn letters(&self) -> &dyn ConsumerStore {
        self.inner.letters()
    }

    async fn wish(&self, relay: &str, wish: &Redrive) -> Result<(), StoreError> {
        self.inner.wish(relay, wish).await
    }

    async fn wishes(&self, relay: &str) -> Result<Vec<(Uuid, Redrive)>, StoreError> {
        self.inner.wishes(relay).await
    }

    async fn granted(&self, relay: &str, wishes: &[Uuid]) -> Result<(), StoreError> {
        self.inner.granted(relay, wishes).await
    }
}

/// A context that announces.
struct Walls {
    log: LogId,
    feed: Arc<ListedFeed>,
    head: i64,
}

impl Walls {
    fn new() -> Self {
        let log = LogId(id::new_v7());
        let feed = Arc::new(ListedFeed::new("walls", log));
        Self { log, feed, head: 0 }
    }

    fn paint(&mut self, walls: i64) {
        for _ in 0..walls {
            self.head += 1;
            let (log, position) = (self.log, Position(self.head));
            self.feed.push(Message {
                id: id::new_v7(),
                contract: CONTRACT.to_owned(),
                key: format!("wall-{}", self.head % KEYS),
                payload: serde_json::json!({ "number": self.head }),
                origin: Origin { log, position },
                metadata: Metadata::new(None),
                at: clock::now(),
            });
        }
    }

    fn relay(&self, publisher: Arc<dyn Publisher>, rows: Arc<dyn RelayStore>) -> Forwarder {
        let limits = RelayLimits {
            lease: Duration::from_secs(1),
            ..RelayLimits::default()
        };
        Forwarder::new(Arc::clone(&self.feed) as _, publisher, rows).limits(limits)
    }

    /// Reads until everything came; what is new is in order by key, whatever comes once more.
    async fn all_come(&self, reader: &mut dyn Subscription) {
        let (mut seen, mut last) = (HashSet::new(), HashMap::new());
        while (seen.len() as i64) < self.head {
            let delivery = next(reader).await;
            acknowledge(reader, &delivery).await;
            let own = delivery.messages.iter();
            let own = own.filter(|it| it.origin.log == self.log && it.contract == CONTRACT);
            for message in own {
                let (key, position) = (message.key.clone(), message.origin.position);
                if seen.insert(position) {
                    let before = last.insert(key, position);
                    assert!(before < Some(position), "{position} after {before:?}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_killed_at_any_step_loses_nothing_and_mixes_no_key_up() {
    let Some(settings) = settings() else { return };
    let (broker, _) = open(&settings);
    let mut reader = join(&broker, "readers").await;
    let points = [
        Point::BeforePublish,
        Point::AfterPublish,
        Point::BeforeSave,
        Point::AfterSave,
    ];
    for point in points {
        for step in [1, 4] {
            eprintln!("{point:?} {step}");
            killed_at(point, step, &broker, reader.as_mut()).await;
        }
    }
}

async fn killed_at(point: Point, step: usize, broker: &RabbitMq, reader: &mut dyn Subscription) {
    let (mut walls, rows) = (Walls::new(), Arc::new(MemoryRelayStore::default()));
    walls.paint(30);
    let trap = Arc::new(Trap {
        point,
        left: Mutex::new(step),
        caught: Notify::new(),
    });
    let (to, into) = (
        Trapped {
            inner: broker.clone(),
            trap: Arc::clone(&trap),
        },
        Trapped {
            inner: Arc::clone(&rows),
            trap: Arc::clone(&trap),
        },
    );
    let dying = walls.relay(Arc::new(to), Arc::new(into));
    let dying = task::spawn("relay", dying.run(CancellationToken::new()));
    let caught = async {
        loop {
            tokio::select! {
                () = trap.caught.notified() => break,
                () = sleep(Duration::from_millis(50)) => walls.paint(1),
            }
        }
    };
    assert!(timeout(LONG, caught).await.is_ok(), "it never came there");
    dying.abort();
    let _ended = dying.await;

    walls.paint(20);
    let stop = CancellationToken::new();
    let next = walls.relay(Arc::new(broker.clone()), Arc::clone(&rows) as _);
    let running = task::spawn("relay", next.run(stop.clone()));
    walls.all_come(reader).await;
    // That all was confirmed is kept a moment after it came, or once the lease is back on a busy machine.
    let head = Position(walls.head);
    let is_kept = async {
        let kept = || rows.kept("walls", walls.log);
        while kept().is_none_or(|kept| kept.through.position < head) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(LONG, is_kept).await.is_ok(), "it is not kept");
    stop.cancel();
    running.await.unwrap();
    let kept = rows.kept("walls", walls.log).unwrap();
    assert_eq!(kept.through.position, head);
}
