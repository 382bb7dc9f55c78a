//! Bounds that are RabbitMQ's own, and what a new group does to the store's id.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use stanchion_messaging::{
    Delivery, Envelope, Group, LogId, Message, Metadata, Origin, Position, Progress, Publisher,
    Subscriber, Subscription, partition_of,
};
use stanchion_rabbitmq::{RabbitMq, RabbitMqSettings};
use stanchion_runtime::{clock, id};
use stanchion_telemetry::Metrics;
use stanchion_testing::proxy::{Cut, FaultProxy};
use stanchion_testing::servers;
use tokio::time::timeout;

pub(super) const CONTRACT: &str = "walls.painted.v1";

/// How often it is looked whether a member has told of a dead letter, each time after it has waited for a while.
const LOOKS_MAX: usize = 10;

/// Names of its own on the server of this test run.
pub(super) fn settings() -> Option<RabbitMqSettings> {
    let server = servers::RabbitMq::shared()?;
    Some(RabbitMqSettings {
        url: Some(server.url().into()),
        prefix: id::new_v7().to_string(),
        publish_timeout: Duration::from_secs(20),
        connect_timeout: Duration::from_secs(30),
        ..RabbitMqSettings::default()
    })
}

pub(super) fn open(settings: &RabbitMqSettings) -> (RabbitMq, Metrics) {
    let metrics = Metrics::default();
    let broker = RabbitMq::open(settings, &metrics).expect("well-formed settings");
    (broker, metrics)
}

pub(super) fn envelope(position: i64) -> Envelope {
    let id = id::new_v7();
    Envelope {
        message: Message {
            id,
            contract: CONTRACT.to_owned(),
            key: "wall".to_owned(),
            payload: json!({ "number": position }),
            origin: Origin {
                log: LogId(uuid::Uuid::nil()),
                position: Position(position),
            },
            metadata: Metadata::new(None),
            at: clock::now(),
        },
        partition: partition_of("wall"),
        prev: Position(position - 1),
        transport: id,
    }
}

pub(super) async fn join(broker: &RabbitMq, group: &str) -> Box<dyn Subscription> {
    let group = Group {
        name: group.to_owned(),
        contracts: vec![CONTRACT],
        progress: HashMap::new(),
    };
    broker.subscribe(group).await.expect("RabbitMQ is there")
}

pub(super) async fn next(subscription: &mut dyn Subscription) -> Delivery {
    let next = timeout(Duration::from_secs(30), subscription.next()).await;
    next.expect("something comes").expect("RabbitMQ is there")
}

pub(super) async fn acknowledge(subscription: &mut dyn Subscription, delivery: &Delivery) {
    let Progress::Receipt { receipt, .. } = delivery.progress else {
        panic!("a broker gives receipts");
    };
    subscription.acknowledge(receipt).await.expect("it hears");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_nothing_that_was_confirmed_is_lost() {
    let Some(settings) = settings() else { return };
    let settings = RabbitMqSettings {
        queue_messages_max: 5,
        prefetch: 2,
        ..settings
    };
    let (broker, _) = open(&settings);
    let mut slow = join(&broker, "slow").await;
    let (mut confirmed, mut refused) = (Vec::new(), None);
    for position in 1..200 {
        let envelope = envelope(position);
        match broker.publish(&envelope).await {
            Ok(()) => confirmed.push(position),
            Err(error) => {
                refused = Some(error.to_string());
                break;
            }
        }
    }
    let refused = refused.expect("a bound");
    assert!(refused.contains("full"), "{refused}");
    let mut came = Vec::new();
    while came.len() < confirmed.len() {
        let delivery = next(slow.as_mut()).await;
        came.extend(
            delivery
                .messages
                .iter()
                .map(|message| message.origin.position.0),
        );
        acknowledge(slow.as_mut(), &delivery).await;
    }
    assert_eq!(came, confirmed);
    let mut again = broker.publish(&envelope(200)).await;
    for _ in 0..50 {
        if again.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        again = broker.publish(&envelope(200)).await;
    }
    again.expect("there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_its_member_each_time_is_a_dead_letter_one_day() {
    let Some(settings) = settings() else { return };
    let settings = RabbitMqSettings {
        deliveries_max: 3,
        prefetch: 1,
        balance_every: Duration::from_millis(200),
        ..settings
    };
    let (broker, metrics) = open(&settings);
    let mut member = join(&broker, "readers").await;
    broker.publish(&envelope(1)).await.expect("confirmed");
    for _ in 0..4 {
        let in_hand = next(member.as_mut()).await;
        assert_eq!(in_hand.messages[0].origin.position, Position(1));
        drop(member);
        member = join(&broker, "readers").await;
    }
    broker.publish(&envelope(2)).await.expect("confirmed");
    let delivery = next(member.as_mut()).await;
    assert_eq!(delivery.messages[0].origin.position, Position(2));
    acknowledge(member.as_mut(), &delivery).await;
    // It looks around when it waits.
    let dead = "stanchion_broker_dead_letters{broker=\"rabbitmq\"} 1\n";
    for _look in 0..LOOKS_MAX {
        let _nothing = timeout(Duration::from_secs(3), member.next()).await;
        if metrics.encode().contains(dead) {
            return;
        }
    }
    panic!("{}", metrics.encode());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_group_changes_the_stores_id_and_a_publisher_is_told_once() {
    let Some(settings) = settings() else { return };
    let (broker, _) = open(&settings);
    broker.publish(&envelope(1)).await.expect("nobody's yet");
    let before = broker.store_id().await.expect("it answers");
    let mut late = join(&broker, "late").await;
    let mut told = 0;
    for _ in 0..50 {
        if let Err(error) = broker.publish(&envelope(2)).await {
            assert!(error.to_string().contains("changed"), "{error}");
            told += 1;
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(told, 1, "it was not told");
    assert_ne!(broker.store_id().await.expect("it answers"), before);
    let (same, mut again) = (broker.store_id().await, Vec::new());
    broker.publish(&envelope(1)).await.expect("announced again");
    while !again.contains(&1) {
        let delivery = next(late.as_mut()).await;
        again.extend(
            delivery
                .messages
                .iter()
                .map(|message| message.origin.position.0),
        );
        acknowledge(late.as_mut(), &delivery).await;
    }
    drop(late);
    let _member = join(&broker, "late").await;
    assert_eq!(broker.store_id().await.ok(), same.ok(), "it is not new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_confirmation_is_an_error_and_the_message_is_there() {
    let Some(settings) = settings() else { return };
    let server = servers::RabbitMq::shared().expect("it is there");
    let proxy = FaultProxy::start(server.address()).expect("a port");
    let (direct, _) = open(&settings);
    let mut member = join(&direct, "readers").await;
    let (address, through) = (server.address().to_string(), proxy.address().to_string());
    let behind = RabbitMqSettings {
        url: Some(server.url().replace(&address, &through).into()),
        ..settings
    };
    let (broker, _) = open(&behind);
    broker.store_id().await.expect("it is connected");
    proxy.cut(Cut::Reply(0), b"walls.painted.v1");
    let lost = envelope(1);
    broker.publish(&lost).await.expect_err("not confirmed");
    broker.publish(&lost).await.expect("confirmed");
    let mut came = 0;
    while came < 2 {
        let delivery = next(member.as_mut()).await;
        came += delivery.messages.len();
        assert!(
            delivery
                .messages
                .iter()
                .all(|message| *message == lost.message)
        );
        acknowledge(member.as_mut(), &delivery).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_together_comes_as_one_delivery_and_is_acknowledged_once() {
    let Some(settings) = settings() else { return };
    let settings = RabbitMqSettings {
        prefetch: 1,
        ..settings
    };
    let (broker, metrics) = open(&settings);
    let mut member = join(&broker, "painter").await;
    let sent: Vec<Envelope> = (1..=100).map(envelope).collect();
    broker.publish_all(&sent).await.expect("it is confirmed");
    let mut came = Vec::new();
    for expected in [64, 36] {
        // The broker sends one message before it hears of an acknowledgement, and that one is a bundle.
        let delivery = next(&mut *member).await;
        assert_eq!(delivery.messages.len(), expected);
        came.extend(delivery.messages.iter().map(|message| message.id));
        acknowledge(&mut *member, &delivery).await;
    }
    let ids: Vec<_> = sent.iter().map(|envelope| envelope.message.id).collect();
    assert_eq!(came, ids);
    let told = metrics.encode();
    assert!(
        told.contains(
            "stanchion_broker_messages_total{broker=\"rabbitmq\",outcome=\"confirmed\"} 100"
        ),
        "{told}"
    );
    // Nothing is left behind for the next member.
    drop(member);
    let mut next_member = join(&broker, "painter").await;
    broker
        .publish(&envelope(101))
        .await
        .expect("it is confirmed");
    let delivery = next(&mut *next_member).await;
    assert_eq!(delivery.messages[0].origin.position, Position(101));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_deliveries_are_acknowledged_at_once_and_nothing_else_with_them() {
    let Some(settings) = settings() else { return };
    let (broker, _) = open(&settings);
    let mut member = join(&broker, "readers").await;
    let (mut receipts, mut tenures) = (Vec::new(), Vec::new());
    for position in 1..=6 {
        broker
            .publish(&envelope(position))
            .await
            .expect("confirmed");
        let delivery = next(member.as_mut()).await;
        assert_eq!(delivery.messages[0].origin.position, Position(position));
        let Progress::Receipt { receipt, .. } = delivery.progress else {
            panic!("a broker gives receipts");
        };
        receipts.push(receipt);
        tenures.push(member.tenure(partition_of("wall")));
    }
    assert!(tenures.iter().all(|it| it.is_some() && *it == tenures[0]));
    let dealt_with = [1, 0, 5, 3].map(|index: usize| receipts[index]);
    member.acknowledge_all(&dealt_with).await.expect("it hears");
    drop(member);
    let mut next_member = join(&broker, "readers").await;
    let mut again = Vec::new();
    while again.len() < 2 {
        let delivery = next(next_member.as_mut()).await;
        let positions = delivery.messages.iter().map(|it| it.origin.position.0);
        again.extend(positions);
        acknowledge(next_member.as_mut(), &delivery).await;
    }
    assert_eq!(again, [3, 5]);
}
