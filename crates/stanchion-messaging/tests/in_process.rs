//! Feeds that take a while to be read, as those of a log that is not in memory.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use stanchion_messaging::{
    BrokerError, Consumer, Contract, Feed, FeedPage, Group, HandlerError, LogId, MemoryBroker,
    MemoryConsumerStore, Message, Metadata, Origin, Place, Position, Subscriber,
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
}

impl Walls {
    fn new(id: u128, walls: i64) -> Arc<Self> {
        Arc::new(Self {
            id,
            walls,
            begun: AtomicUsize::new(0),
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
            at: stanchion_runtime::clock::now(),
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
