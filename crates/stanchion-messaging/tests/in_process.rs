//! Feeds that take a while to be read, as those of a log that is not in memory, and what ends the process that reads them.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use stanchion_messaging::{
    BrokerError, Consumer, ConsumerLimits, ConsumerStore, Contract, DeadLetterFilter, Feed,
    FeedPage, Group, HandlerError, LogId, MemoryBroker, MemoryConsumerStore, Message, Metadata,
    Origin, Parked, ParkedState, Place, Position, Subscriber,
};
use stanchion_runtime::task;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const READ: Duration = Duration::from_millis(10);

#[derive(Serialize, Deserialize)]
struct Painted {
    wall: i64,
}

impl Contract for Painted {
    const NAME: &'static str = "walls.painted.v1";

    fn key(&self) -> String {
        self.wall.to_string()
    }
}

/// So many walls, each a key, and how often somebody began to read of them.
struct Walls {
    id: u128,
    walls: i64,
    begun: AtomicUsize,
    /// When they came into the log.
    at: Timestamp,
}

impl Walls {
    fn new(id: u128, walls: i64) -> Arc<Self> {
        Arc::new(Self {
            id,
            walls,
            begun: AtomicUsize::new(0),
            at: stanchion_runtime::clock::now(),
        })
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    fn message(&self, position: i64) -> Message {
        Message {
            id: Uuid::from_u128(position as u128),
            contract: Painted::NAME.into(),
            key: position.to_string(),
            payload: serde_json::json!({ "wall": position }),
            origin: Origin {
                log: self.log_id(),
                position: Position(position),
            },
            metadata: Metadata::new(None),
            at: self.at,
        }
    }
}

#[async_trait]
impl Feed for Walls {
    fn name(&self) -> &str {
        "walls"
    }

    fn log_id(&self) -> LogId {
        LogId(Uuid::from_u128(self.id))
    }

    async fn read(&self, after: Place, limit: usize) -> Result<FeedPage, BrokerError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        sleep(READ).await;
        let positions = after.position.0 + 1..=self.walls;
        let messages = positions.take(limit).map(|position| self.message(position));
        let messages: Vec<Message> = messages.collect();
        let through = messages.last().map_or(after, |last| Place {
            position: last.origin.position,
            event: Some(last.id),
        });
        Ok(FeedPage { messages, through })
    }

    fn changes(&self) -> watch::Receiver<Position> {
        watch::channel(Position::START).1
    }
}

fn broker(feeds: &[Arc<Walls>]) -> MemoryBroker {
    let broker = MemoryBroker::new();
    for feed in feeds {
        broker.register(Arc::clone(feed) as Arc<dyn Feed>);
    }
    broker
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_interrupted_goes_on_with_the_read_that_was_begun() {
    let feeds = [Walls::new(1, 0), Walls::new(2, 3)];
    let group = Group {
        name: "painter".into(),
        contracts: vec![Painted::NAME],
        progress: HashMap::new(),
    };
    let mut subscription = broker(&feeds).subscribe(group).await.unwrap();
    let start = Instant::now();
    let delivery = loop {
        let next = timeout(READ / 10, subscription.next()).await;
        if let Ok(delivery) = next {
            break delivery.unwrap();
        }
        assert!(start.elapsed() < READ * 100, "no read comes to its end");
    };
    assert_eq!(delivery.messages.len(), 3);
    assert_eq!([feeds[0].begun(), feeds[1].begun()], [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_log_is_read_while_what_it_brought_is_handled() {
    const WALLS: i64 = 1_000;
    let walls = Walls::new(1, WALLS);
    let (painted, store) = (
        Arc::new(AtomicUsize::new(0)),
        MemoryConsumerStore::default(),
    );
    let paints = Arc::clone(&painted);
    let consumer = Consumer::new(
        "painter",
        Arc::new(store),
        Arc::new(broker(std::slice::from_ref(&walls))),
    );
    // One ends whenever another one is about to.
    let consumer = consumer.on(move |painted: Painted, _| {
        let (paints, takes) = (Arc::clone(&paints), painted.wall.unsigned_abs() % 17 + 1);
        async move {
            sleep(Duration::from_millis(takes)).await;
            paints.fetch_add(1, Ordering::SeqCst);
            Ok::<(), HandlerError>(())
        }
    });
    let stop = CancellationToken::new();
    let running = task::spawn("painter", consumer.run(stop.clone()));
    let all = timeout(Duration::from_secs(60), async {
        while painted.load(Ordering::SeqCst) < WALLS as usize {
            sleep(Duration::from_millis(1)).await;
        }
    });
    all.await.unwrap();
    stop.cancel();
    running.await.unwrap();
    // Pages of 16, 128 and four of 256 at the most, and then looks whether there is more.
    assert!(walls.begun() <= 16, "{} reads", walls.begun());
}

/// A painter who reads the walls by himself, and whose process ends at the third.
struct Painter {
    store: Arc<MemoryConsumerStore>,
    painted: Mutex<BTreeSet<i64>>,
    /// How often the third was begun.
    begun: AtomicUsize,
}

impl Painter {
    const THIRD: i64 = 3;

    async fn aside(&self) -> Vec<Parked> {
        let all = DeadLetterFilter {
            limit: 100,
            ..DeadLetterFilter::default()
        };
        self.store.list(&all).await.unwrap()
    }

    /// One life: until the third was begun once more and everything else is dealt with, or it is given up.
    async fn lives(self: &Arc<Self>, walls: &Arc<Walls>) {
        let limits = ConsumerLimits {
            attempts_max: 3,
            backoff_base: Duration::from_millis(1),
            backoff_max: Duration::from_millis(1),
            ..ConsumerLimits::default()
        };
        let broker = broker(std::slice::from_ref(walls));
        let consumer = Consumer::new("painter", Arc::clone(&self.store) as _, Arc::new(broker));
        let own = Arc::clone(self);
        let consumer = consumer.limits(limits).on(move |painted: Painted, _| {
            let own = Arc::clone(&own);
            async move {
                if painted.wall == Self::THIRD {
                    own.begun.fetch_add(1, Ordering::SeqCst);
                    std::future::pending::<()>().await;
                }
                own.painted.lock().insert(painted.wall);
                Ok::<(), HandlerError>(())
            }
        });
        let before = self.begun.load(Ordering::SeqCst);
        let running = task::spawn("painter", consumer.run(CancellationToken::new()));
        let ended = timeout(Duration::from_secs(20), async {
            while self.begun.load(Ordering::SeqCst) == before && !self.is_over().await
                || self.aside().await.len() > 1
                || self.painted.lock().len() < 4
            {
                sleep(Duration::from_millis(5)).await;
            }
        });
        ended.await.expect("it stands still");
        running.abort();
        let _aborted = running.await;
        // As if it had waited until nobody can be at it any more.
        for mut left in self.aside().await {
            left.due_at = left.parked_at;
            self.store.park_again(&left).await.unwrap();
        }
    }

    async fn is_over(&self) -> bool {
        self.store.counts("painter").await.unwrap() == [(ParkedState::Dead, 1)]
    }
}

/// An abort, or no memory: nothing can be written any more, and there is no broker that counts.
#[tokio::test]
async fn what_ends_its_process_at_its_first_attempt_each_time_is_a_dead_letter_one_day() {
    let (walls, painter) = (
        Walls::new(1, 5),
        Arc::new(Painter {
            store: Arc::default(),
            painted: Mutex::default(),
            begun: AtomicUsize::new(0),
        }),
    );
    for uncounted in 1..=3 {
        painter.lives(&walls).await;
        assert_eq!(painter.begun.load(Ordering::SeqCst), uncounted);
        assert!(painter.aside().await.is_empty());
    }
    for counted in 1..=3 {
        painter.lives(&walls).await;
        let aside = painter.aside().await;
        assert_eq!((aside.len(), aside[0].attempts), (1, counted));
        assert!(
            aside[0]
                .reason
                .starts_with("put aside before its first attempt")
        );
    }
    painter.lives(&walls).await;
    let aside = painter.aside().await;
    assert_eq!((aside[0].state, aside[0].attempts), (ParkedState::Dead, 3));
    assert!(aside[0].reason.starts_with("its last attempt ended"));
    assert_eq!(painter.begun.load(Ordering::SeqCst), 6);
    assert_eq!(*painter.painted.lock(), BTreeSet::from([1, 2, 4, 5]));
    let progress = painter.store.progress("painter").await.unwrap();
    assert_eq!(progress[&walls.log_id()].position, Position(5));
}

/// What is handled needs no row, however often its service is replaced.
#[tokio::test(start_paused = true)]
async fn a_process_that_comes_further_puts_nothing_aside() {
    let store = Arc::new(MemoryConsumerStore::default());
    let painted = Arc::new(AtomicUsize::new(0));
    for process in 1..=6_usize {
        let walls = Walls::new(1, process as i64 * 2);
        let (paints, rows) = (Arc::clone(&painted), Arc::clone(&store));
        let consumer = Consumer::new(
            "painter",
            Arc::clone(&store) as _,
            Arc::new(broker(&[walls])),
        );
        let consumer = consumer.on(move |_: Painted, _| {
            let (paints, rows) = (Arc::clone(&paints), Arc::clone(&rows));
            async move {
                assert!(rows.counts("painter").await.unwrap().is_empty());
                paints.fetch_add(1, Ordering::SeqCst);
                Ok::<(), HandlerError>(())
            }
        });
        let stop = CancellationToken::new();
        let running = task::spawn("painter", consumer.run(stop.clone()));
        let all = timeout(Duration::from_secs(60), async {
            while painted.load(Ordering::SeqCst) < process * 2 {
                sleep(Duration::from_millis(1)).await;
            }
        });
        all.await.unwrap();
        stop.cancel();
        running.await.unwrap();
    }
    assert_eq!(painted.load(Ordering::SeqCst), 12);
    assert!(store.counts("painter").await.unwrap().is_empty());
}
