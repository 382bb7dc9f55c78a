//! What the tests have in common.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use stanchion_config::SecretString;
use stanchion_messaging::{
    Envelope, Group, LogId, Message, Metadata, Origin, Position, Progress, Publisher, Subscriber,
    Subscription, partition_of,
};
use stanchion_nats::{NatsBroker, NatsSettings};
use stanchion_runtime::{clock, id};
use stanchion_telemetry::Metrics;
use tokio::time::{Instant, timeout};

pub(super) const PREFIX: &str = "shop";
pub(super) const LONG: Duration = Duration::from_secs(30);

pub(super) const CONTRACT: &str = "suite.thing_happened.v1";

/// Of a loaded test machine: long enough to be no accident, short enough to be waited for.
pub(super) const ACK_WAIT: Duration = Duration::from_secs(3);
pub(super) const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn settings(address: SocketAddr, prefix: &str) -> NatsSettings {
    NatsSettings {
        url: Some(SecretString::from(format!("nats://{address}"))),
        prefix: prefix.to_owned(),
        ack_wait: ACK_WAIT,
        publish_timeout: PUBLISH_TIMEOUT,
        max_age: Duration::from_secs(3600),
        ..NatsSettings::default()
    }
}

pub(super) async fn connect(settings: &NatsSettings) -> NatsBroker {
    let connected = NatsBroker::connect(settings, &Metrics::default()).await;
    connected.expect("the settings are well-formed")
}

pub(super) fn group(name: &str) -> Group {
    Group {
        name: name.to_owned(),
        contracts: vec![CONTRACT],
        progress: HashMap::new(),
    }
}

/// The first message of a log.
pub(super) fn envelope(key: &str) -> Envelope {
    let id = id::new_v7();
    Envelope {
        message: Message {
            id,
            contract: CONTRACT.to_owned(),
            key: key.to_owned(),
            payload: serde_json::json!({ "key": key }),
            origin: Origin {
                log: LogId(id),
                position: Position(1),
            },
            metadata: Metadata::new(None),
            at: clock::now(),
        },
        partition: partition_of(key),
        prev: Position::START,
        transport: id,
    }
}

/// A client of one's own, beside the adapter.
pub(super) async fn bare(address: SocketAddr) -> async_nats::Client {
    let options = async_nats::ConnectOptions::new().retry_on_initial_connect();
    let connected = options.connect(format!("nats://{address}")).await;
    connected.expect("a client")
}

pub(super) async fn publish(broker: &NatsBroker, envelope: &Envelope) {
    let begun = Instant::now();
    while let Err(error) = broker.publish(envelope).await {
        assert!(begun.elapsed() < LONG, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(super) async fn subscribe(broker: &NatsBroker) -> Box<dyn Subscription> {
    broker.subscribe(group("readers")).await.unwrap()
}

/// The next messages, acknowledged.
pub(super) async fn take(subscription: &mut dyn Subscription) -> Vec<Message> {
    loop {
        let delivery = timeout(LONG, subscription.next()).await;
        let delivery = delivery.expect("a delivery").unwrap();
        let Progress::Receipt { receipt, .. } = delivery.progress else {
            panic!("a receipt");
        };
        subscription.acknowledge(receipt).await.unwrap();
        if !delivery.messages.is_empty() {
            return delivery.messages;
        }
    }
}

/// A group that has read something from there.
pub(super) async fn reading(settings: &NatsSettings) -> (NatsBroker, Box<dyn Subscription>) {
    let broker = connect(settings).await;
    let mut subscription = subscribe(&broker).await;
    publish(&broker, &envelope("a")).await;
    take(subscription.as_mut()).await;
    (broker, subscription)
}

/// How many messages the stream has.
pub(super) async fn stored(client: &async_nats::Client, stream: &str) -> u64 {
    let context = async_nats::jetstream::new(client.clone());
    let stream = context.get_stream(stream).await.expect("the stream");
    stream.cached_info().state.messages
}

/// Processor time of this process, in hundredths of a second.
#[cfg(target_os = "linux")]
pub(super) fn processor() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, numbers) = stat.rsplit_once(')').unwrap();
    let numbers = numbers.split_whitespace().skip(11).take(2);
    numbers.map(|number| number.parse::<u64>().unwrap()).sum()
}
