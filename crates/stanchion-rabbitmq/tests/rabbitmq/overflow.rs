//! Queues that are full and messages that the server takes never, with relays and consumers as services have them.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use stanchion_messaging::{
    Consumer, Contract, Forwarder, LogId, MemoryConsumerStore, MemoryRelayStore, Message, Metadata,
    Origin, Position, PublishError, Publisher,
};
use stanchion_rabbitmq::{RabbitMq, RabbitMqSettings};
use stanchion_runtime::task::{self, Task};
use stanchion_runtime::{clock, id};
use stanchion_telemetry::Metrics;
use stanchion_testing::feed::ListedFeed;
use stanchion_testing::servers;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bounds::{envelope, open, settings};

const MESSAGES: i64 = 60;
const LONG: Duration = Duration::from_secs(120);

#[derive(Serialize, Deserialize)]
struct Painted {
    number: i64,
}

impl Contract for Painted {
    const NAME: &'static str = "walls.painted.v1";

    fn key(&self) -> String {
        "wall".to_owned()
    }
}

fn painted(log: LogId, number: i64) -> Message {
    Message {
        id: id::new_v7(),
        contract: Painted::NAME.to_owned(),
        key: "wall".to_owned(),
        payload: serde_json::json!({ "number": number }),
        origin: Origin {
            log,
            position: Position(number),
        },
        metadata: Metadata::new(None),
        at: clock::now(),
    }
}

/// A group of consumers, and what it has handled.
struct Reader {
    seen: Arc<Mutex<Vec<i64>>>,
    store: Arc<MemoryConsumerStore>,
    name: &'static str,
    broker: RabbitMq,
}

impl Reader {
    fn new(name: &'static str, broker: &RabbitMq) -> Self {
        Self {
            seen: Arc::default(),
            store: Arc::default(),
            name,
            broker: broker.clone(),
        }
    }

    fn start(&self) -> Task<()> {
        let broker = Arc::new(self.broker.clone());
        let seen = Arc::clone(&self.seen);
        let consumer = Consumer::new(self.name, Arc::clone(&self.store) as _, broker.clone() as _)
            .asking(broker)
            .on(move |it: Painted, _| {
                seen.lock().push(it.number);
                async { Ok(()) }
            });
        task::spawn("consumer", consumer.run(CancellationToken::new()))
    }

    async fn has_seen(&self, count: i64) {
        let begun = Instant::now();
        let wanted: Vec<_> = (1..=count).collect();
        while self.seen.lock().len() < wanted.len() {
            assert!(
                begun.elapsed() < LONG,
                "{}: {:?}",
                self.name,
                self.seen.lock()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(*self.seen.lock(), wanted, "{}", self.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_away_holds_nobody_up_and_gets_all_in_order_when_it_comes() {
    let Some(settings) = settings() else { return };
    let settings = RabbitMqSettings {
        queue_messages_max: 10,
        prefetch: 4,
        ..settings
    };
    let (broker, _) = open(&settings);
    let (busy, idle) = (Reader::new("busy", &broker), Reader::new("idle", &broker));
    let log = LogId(id::new_v7());
    let feed = Arc::new(ListedFeed::new("walls", log));
    feed.push(painted(log, 1));
    let metrics = Metrics::default();
    let relay = Forwarder::new(
        Arc::clone(&feed) as _,
        Arc::new(broker.clone()),
        Arc::new(MemoryRelayStore::default()),
    );
    let relay = relay
        .asked_through(Arc::new(broker.clone()))
        .metrics(&metrics);
    let _relay = task::spawn("relay", relay.run(CancellationToken::new()));
    let _busy = busy.start();
    let away = idle.start();
    idle.has_seen(1).await;
    busy.has_seen(1).await;
    away.abort();
    let _ended = away.await;
    for number in 2..=MESSAGES {
        feed.push(painted(log, number));
        // One at a time: whoever is there keeps up.
        busy.has_seen(number).await;
    }
    let shown = metrics.encode();
    let overflowed = "stanchion_relay_messages_total{context=\"walls\",outcome=\"overflowed\"}";
    assert!(shown.contains(overflowed), "{shown}");
    let _idle = idle.start();
    idle.has_seen(MESSAGES).await;
    feed.push(painted(log, MESSAGES + 1));
    idle.has_seen(MESSAGES + 1).await;
    busy.has_seen(MESSAGES + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_the_servers_bound_is_refused_for_good_and_the_next_is_not() {
    let Some(server) = servers::RabbitMq::required() else {
        return;
    };
    let smaller = "persistent_term:put(max_message_size, 65536), \
                   application:set_env(rabbit, max_message_size, 65536).";
    server.ctl(&["eval", smaller]).expect("rabbitmqctl");
    let settings = RabbitMqSettings {
        url: Some(server.url().into()),
        publish_timeout: Duration::from_secs(20),
        connect_timeout: Duration::from_secs(30),
        ..RabbitMqSettings::default()
    };
    let (broker, _) = open(&settings);
    broker.publish(&envelope(1)).await.expect("confirmed");
    let mut large = envelope(2);
    large.message.payload = serde_json::json!("x".repeat(100_000));
    let refused = broker.publish(&large).await.expect_err("too large");
    assert!(matches!(refused, PublishError::Refused(_)), "{refused}");
    broker.publish(&envelope(3)).await.expect("confirmed");
}
