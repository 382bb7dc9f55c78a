//! A consumer's end while something is being handled.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use stanchion_messaging::{
    BrokerError, Consumer, Contract, Delivery, Group, HandlerError, Link, LogId,
    MemoryConsumerStore, Message, Metadata, Origin, Position, Progress, Receipt, Subscriber,
    Subscription, partition_of,
};
use stanchion_runtime::task;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[derive(Serialize, Deserialize)]
struct Painted;

impl Contract for Painted {
    const NAME: &'static str = "walls.painted.v1";

    fn key(&self) -> String {
        "north".to_owned()
    }
}

/// What its member does.
#[derive(Debug, PartialEq, Eq)]
enum Did {
    Began,
    TookNoMore,
    Acknowledged,
}

type Does = mpsc::UnboundedSender<Did>;

/// A broker with one message.
struct One(Does);

struct Member {
    does: Does,
    is_given: bool,
}

#[async_trait]
impl Subscriber for One {
    async fn subscribe(&self, _group: Group) -> Result<Box<dyn Subscription>, BrokerError> {
        Ok(Box::new(Member {
            does: self.0.clone(),
            is_given: false,
        }))
    }
}

#[async_trait]
impl Subscription for Member {
    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        if std::mem::replace(&mut self.is_given, true) {
            return std::future::pending().await;
        }
        let origin = Origin {
            log: LogId(Uuid::nil()),
            position: Position(1),
        };
        let message = Message {
            id: Uuid::from_u128(1),
            contract: Painted::NAME.into(),
            key: Painted.key(),
            payload: serde_json::to_value(Painted).unwrap(),
            origin,
            metadata: Metadata::new(None),
            at: stanchion_runtime::clock::now(),
        };
        let link = Link {
            log: message.origin.log,
            partition: partition_of(&message.key),
            prev: Position::START,
            position: message.origin.position,
        };
        Ok(Delivery {
            messages: vec![message],
            progress: Progress::Receipt {
                receipt: Receipt(1),
                links: vec![link],
            },
        })
    }

    async fn acknowledge(&mut self, _receipt: Receipt) -> Result<(), BrokerError> {
        self.does.send(Did::Acknowledged).unwrap();
        Ok(())
    }

    fn takes_no_more(&mut self) {
        self.does.send(Did::TookNoMore).unwrap();
    }
}

/// The broker hears of the end before what is in hand is finished: what comes meanwhile is for other members.
#[tokio::test(start_paused = true)]
async fn a_stop_takes_no_more_before_it_finishes_what_it_has() {
    let (does, mut did) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let (store, broker) = (Arc::new(MemoryConsumerStore::default()), One(does.clone()));
    let consumer = Consumer::new("painter", store, Arc::new(broker));
    let consumer = consumer.on(move |_: Painted, _| {
        let does = does.clone();
        async move {
            does.send(Did::Began).unwrap();
            sleep(Duration::from_secs(1)).await;
            Ok::<(), HandlerError>(())
        }
    });
    let running = task::spawn("painter", consumer.run(stop.clone()));
    assert_eq!(did.recv().await, Some(Did::Began));
    stop.cancel();
    let ended = timeout(Duration::from_secs(60), running).await;
    ended.unwrap().unwrap();
    assert_eq!(did.recv().await, Some(Did::TookNoMore));
    assert_eq!(did.recv().await, Some(Did::Acknowledged));
}
