//! A consumer's end while something is being handled, and what comes after an end that was none of its process.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stanchion_messaging::{
    AfterLastAttempt, BrokerError, Consumer, ConsumerStore, Delivery, Group, HandlerError,
    MemoryConsumerStore, ParkedState, Receipt, Subscriber, Subscription,
};
use stanchion_runtime::task;
use support::{Away, CONSUMER, Painted, WITHIN, delivery, failed_before, message};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// What its member does.
#[derive(Debug, PartialEq, Eq)]
enum Did {
    Began,
    TookNoMore,
    Acknowledged,
}

type Does = mpsc::UnboundedSender<Did>;

/// A broker with one message for each subscription, each but the first delivered too often already.
struct OneEach {
    does: Does,
    subscriptions: AtomicI64,
    /// How many acknowledgements it does not hear.
    deaf: i64,
}

struct Member {
    does: Does,
    /// Its own, and its message's.
    number: i64,
    is_given: bool,
    is_deaf: bool,
}

#[async_trait]
impl Subscriber for OneEach {
    async fn subscribe(&self, _group: Group) -> Result<Box<dyn Subscription>, BrokerError> {
        let number = self.subscriptions.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Box::new(Member {
            does: self.does.clone(),
            number,
            is_given: false,
            is_deaf: number <= self.deaf,
        }))
    }
}

#[async_trait]
impl Subscription for Member {
    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        if std::mem::replace(&mut self.is_given, true) {
            return std::future::pending().await;
        }
        let message = message(0, self.number, "north");
        Ok(delivery(message, self.number - 1, 1))
    }

    async fn acknowledge(&mut self, _receipt: Receipt) -> Result<(), BrokerError> {
        self.does.send(Did::Acknowledged).unwrap();
        match self.is_deaf {
            true => Err(BrokerError("it did not hear".into())),
            false => Ok(()),
        }
    }

    fn gives_up(&self, _partition: u16) -> bool {
        self.number > 1
    }

    fn takes_no_more(&mut self) {
        self.does.send(Did::TookNoMore).unwrap();
    }
}

/// A painter who takes a second for each.
fn painter(deaf: i64) -> (Consumer, mpsc::UnboundedReceiver<Did>) {
    let (does, did) = mpsc::unbounded_channel();
    let broker = OneEach {
        does: does.clone(),
        subscriptions: AtomicI64::new(0),
        deaf,
    };
    let store = Arc::new(MemoryConsumerStore::default());
    let consumer = Consumer::new(CONSUMER, store, Arc::new(broker));
    let consumer = consumer.on(move |_: Painted, _| {
        let does = does.clone();
        async move {
            does.send(Did::Began).unwrap();
            sleep(Duration::from_secs(1)).await;
            Ok::<(), HandlerError>(())
        }
    });
    (consumer, did)
}

/// The broker hears of the end before what is in hand is finished: what comes meanwhile is for other members.
#[tokio::test(start_paused = true)]
async fn a_stop_takes_no_more_before_it_finishes_what_it_has() {
    let (consumer, mut did) = painter(0);
    let stop = CancellationToken::new();
    let running = task::spawn(CONSUMER, consumer.run(stop.clone()));
    assert_eq!(did.recv().await, Some(Did::Began));
    stop.cancel();
    let ended = timeout(WITHIN, running).await;
    ended.unwrap().unwrap();
    assert_eq!(did.recv().await, Some(Did::TookNoMore));
    assert_eq!(did.recv().await, Some(Did::Acknowledged));
}

/// As a thousand times in ten minutes where the store takes no writes: that is no fault of what is delivered then.
#[tokio::test(start_paused = true)]
async fn what_came_back_for_another_reason_than_an_end_of_its_process_is_tried() {
    let (consumer, mut did) = painter(1);
    let stop = CancellationToken::new();
    let running = task::spawn(CONSUMER, consumer.run(stop.clone()));
    for number in 1..=2 {
        let began = async { while did.recv().await != Some(Did::Began) {} };
        let began = timeout(WITHIN, began).await;
        assert!(began.is_ok(), "{number} was given up");
    }
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_is_asked_less_and_less_often() {
    let (away, stop) = (Arc::<Away>::default(), CancellationToken::new());
    let store = Arc::new(MemoryConsumerStore::default());
    let consumer = Consumer::new(CONSUMER, store, Arc::clone(&away) as _);
    let running = task::spawn(CONSUMER, consumer.run(stop.clone()));
    sleep(Duration::from_secs(600)).await;
    // Every five seconds at the latest, and never twice in half of that but for the first few times.
    let asked = away.asked.load(Ordering::Relaxed);
    assert!((120..=250).contains(&asked), "{asked}");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_nobody_elses_while_it_is_under_way_and_none_when_a_stop_gave_it_back() {
    let store = Arc::new(MemoryConsumerStore::default());
    let parked = failed_before(message(0, 1, "north"), 19);
    store.park(&parked).await.unwrap();
    let (begins, mut begun) = mpsc::unbounded_channel();
    let consumer = Consumer::new(CONSUMER, Arc::clone(&store) as _, Arc::<Away>::default());
    let consumer = consumer.on(move |_: Painted, _| {
        begins.send(()).ok();
        std::future::pending::<Result<(), HandlerError>>()
    });
    let stop = CancellationToken::new();
    let running = task::spawn(CONSUMER, consumer.run(stop.clone()));
    begun.recv().await.unwrap();
    let left = store.find(parked.message.id).await.unwrap().remove(0);
    assert_eq!((left.state, left.attempts), (ParkedState::Retry, 20));
    // What was said before is what an operator looks for.
    assert!(left.under_way && left.reason == parked.reason);
    // So long a handling may last by default: another member would take it for one whose last attempt ended its process.
    let meanwhile = parked.due_at + Duration::from_secs(30);
    let due = store.due(CONSUMER, meanwhile, AfterLastAttempt::KeyWaits, 10);
    assert!(due.await.unwrap().is_empty());
    stop.cancel();
    running.await.unwrap();
    assert_eq!(store.find(parked.message.id).await.unwrap(), [parked]);
}
