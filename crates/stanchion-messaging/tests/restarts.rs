//! Processes that begin at one place of a log, and of which none is ended by what comes next there: they are replaced, or live.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use stanchion_messaging::{
    BrokerError, Consumer, ConsumerStore, Contract, Feed, FeedPage, HandlerError, LogId,
    MemoryBroker, MemoryConsumerStore, Message, Metadata, Origin, Place, Position,
};
use stanchion_runtime::{clock, task};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const WITHIN: Duration = Duration::from_secs(60);
const LOG: LogId = LogId(Uuid::from_u128(1));

/// More than a consumer lets pass without a count.
const PROCESSES: usize = 5;

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

/// A log of walls, each a key.
#[derive(Default)]
struct Walls(Mutex<Vec<Message>>);

impl Walls {
    /// Such a log with so many.
    fn of(walls: i64) -> Arc<Self> {
        let (log, now) = (Arc::new(Self::default()), clock::now());
        (0..walls).for_each(|_| log.push(now));
        log
    }

    fn push(&self, at: Timestamp) {
        let mut all = self.0.lock();
        let wall = all.len() as i64 + 1;
        all.push(Message {
            id: id(wall),
            contract: Painted::NAME.into(),
            key: wall.to_string(),
            payload: serde_json::json!({ "wall": wall }),
            origin: Origin {
                log: LOG,
                position: Position(wall),
            },
            metadata: Metadata::new(None),
            at,
        });
    }
}

#[async_trait]
impl Feed for Walls {
    fn name(&self) -> &str {
        "walls"
    }

    fn log_id(&self) -> LogId {
        LOG
    }

    async fn read(&self, after: Place, limit: usize) -> Result<FeedPage, BrokerError> {
        let all = self.0.lock();
        let new = all.iter().filter(|it| it.origin.position > after.position);
        let messages: Vec<Message> = new.take(limit).cloned().collect();
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

fn id(wall: i64) -> Uuid {
    Uuid::from_u128(wall.unsigned_abs().into())
}

fn painter<F, Fut>(store: &Arc<MemoryConsumerStore>, walls: &Arc<Walls>, paint: F) -> Consumer
where
    F: Fn(i64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let broker = MemoryBroker::new();
    broker.register(Arc::clone(walls) as Arc<dyn Feed>);
    let consumer = Consumer::new("painter", Arc::clone(store) as _, Arc::new(broker));
    consumer.on(move |painted: Painted, _| {
        let painting = paint(painted.wall);
        async move {
            painting.await;
            Ok::<(), HandlerError>(())
        }
    })
}

async fn is_nothing_aside(store: &MemoryConsumerStore) -> bool {
    store.counts("painter").await.unwrap().is_empty()
}

/// Until there were so many.
async fn reach(count: &AtomicUsize, so_many: usize) {
    let reached = timeout(WITHIN, async {
        while count.load(Ordering::SeqCst) < so_many {
            sleep(Duration::from_millis(5)).await;
        }
    });
    reached.await.unwrap();
}

/// A service is replaced again and again while what is handled takes longer than a stop waits for.
#[tokio::test(start_paused = true)]
async fn a_stop_in_good_order_is_no_end_by_what_was_in_hand() {
    let (store, walls) = (Arc::new(MemoryConsumerStore::default()), Walls::of(16));
    for _process in 0..PROCESSES {
        let begun = Arc::new(Notify::new());
        let begins = Arc::clone(&begun);
        let consumer = painter(&store, &walls, move |_| {
            let begins = Arc::clone(&begins);
            async move {
                begins.notify_one();
                std::future::pending::<()>().await;
            }
        });
        let stop = CancellationToken::new();
        let running = task::spawn("painter", consumer.run(stop.clone()));
        timeout(WITHIN, begun.notified()).await.unwrap();
        stop.cancel();
        running.await.unwrap();
        assert!(is_nothing_aside(&store).await);
    }
}

/// Each of them is given the same message, and is at it for longer than anybody looks whether one comes further.
#[tokio::test(start_paused = true)]
async fn what_comes_to_several_that_wait_at_the_end_of_a_log_is_tried_at_once() {
    let (store, walls) = (Arc::new(MemoryConsumerStore::default()), Walls::of(0));
    let begun = Arc::new(AtomicUsize::new(0));
    let processes = (0..PROCESSES).map(|_| {
        let begun = Arc::clone(&begun);
        let consumer = painter(&store, &walls, move |_| {
            begun.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_secs(20))
        });
        task::spawn("painter", consumer.run(CancellationToken::new()))
    });
    let processes: Vec<_> = processes.collect();
    walls.push(clock::now() + SignedDuration::from_secs(1));
    reach(&begun, PROCESSES).await;
    assert!(is_nothing_aside(&store).await);
    processes.iter().for_each(|running| running.abort());
}

#[tokio::test(start_paused = true)]
async fn several_that_begin_at_once_put_nothing_aside_while_one_comes_further() {
    let (store, walls) = (Arc::new(MemoryConsumerStore::default()), Walls::of(16));
    let (painted, seen_aside) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let processes = (0..PROCESSES).map(|_| {
        let (painted, seen_aside) = (Arc::clone(&painted), Arc::clone(&seen_aside));
        let rows = Arc::clone(&store);
        let consumer = painter(&store, &walls, move |_| {
            let (painted, seen_aside) = (Arc::clone(&painted), Arc::clone(&seen_aside));
            let rows = Arc::clone(&rows);
            async move {
                sleep(Duration::from_millis(300)).await;
                if !is_nothing_aside(&rows).await {
                    seen_aside.fetch_add(1, Ordering::SeqCst);
                }
                painted.fetch_add(1, Ordering::SeqCst);
            }
        });
        task::spawn("painter", consumer.run(CancellationToken::new()))
    });
    let processes: Vec<_> = processes.collect();
    reach(&painted, PROCESSES * 16).await;
    assert_eq!(seen_aside.load(Ordering::SeqCst), 0);
    assert!(is_nothing_aside(&store).await);
    processes.iter().for_each(|running| running.abort());
}

/// What comes into the log later was in nobody's hand: it needs no row, however little came before it.
#[tokio::test(start_paused = true)]
async fn only_what_was_there_before_its_process_is_put_aside() {
    let (store, walls) = (Arc::new(MemoryConsumerStore::default()), Walls::of(2));
    for ended in 0..3 {
        let before = store.begins("painter", LOG, Position::START).await;
        assert_eq!(before.unwrap(), ended);
    }
    let from_rows = Arc::new(Mutex::new(BTreeMap::new()));
    let (notes, rows) = (Arc::clone(&from_rows), Arc::clone(&store));
    let consumer = painter(&store, &walls, move |wall| {
        let (notes, rows) = (Arc::clone(&notes), Arc::clone(&rows));
        async move {
            let found = rows.find(id(wall)).await.unwrap();
            notes.lock().insert(wall, !found.is_empty());
        }
    });
    for _later in 0..2 {
        walls.push(clock::now() + SignedDuration::from_secs(1));
    }
    let running = task::spawn("painter", consumer.run(CancellationToken::new()));
    let all = timeout(WITHIN, async {
        while from_rows.lock().len() < 4 {
            sleep(Duration::from_millis(5)).await;
        }
    });
    all.await.unwrap();
    running.abort();
    let expected = [(1, true), (2, true), (3, false), (4, false)];
    assert_eq!(*from_rows.lock(), BTreeMap::from(expected));
}
