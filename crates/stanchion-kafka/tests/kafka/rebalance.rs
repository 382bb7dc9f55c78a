//! Acknowledging while the group's partitions are shared out anew.

use std::time::Duration;

use krafka::error::ErrorCode;
use krafka::testing::{ApiKey, Control, FakeBroker};
use stanchion_kafka::{KafkaBroker, KafkaSettings};
use stanchion_messaging::{
    Delivery, Envelope, Group, LogId, Message, Metadata, Origin, Position, Progress, Publisher,
    Receipt, Subscriber, Subscription, partition_of,
};
use stanchion_runtime::{clock, id};
use stanchion_telemetry::Metrics;
use tokio::time::timeout;
use uuid::Uuid;

const CONTRACT: &str = "suite.thing_happened.v1";

/// The longest a step waits for the broker.
const STEP_MAX: Duration = Duration::from_secs(30);

fn client(broker: &FakeBroker, session: Duration) -> KafkaBroker {
    let settings = KafkaSettings {
        brokers: Some(broker.bootstrap_servers()),
        session_timeout: session,
        ..KafkaSettings::default()
    };
    KafkaBroker::open(&settings, &Metrics::default()).unwrap()
}

async fn member(client: &KafkaBroker) -> Box<dyn Subscription> {
    let group = Group {
        name: "painters".into(),
        contracts: vec![CONTRACT],
        progress: Default::default(),
    };
    client.subscribe(group).await.unwrap()
}

/// The position is told apart by; the key decides the partition.
async fn publish(client: &KafkaBroker, key: &str, position: i64) {
    let id = id::new_v7();
    let message = Message {
        id,
        contract: CONTRACT.into(),
        key: key.into(),
        payload: serde_json::Value::Null,
        origin: Origin {
            log: LogId(Uuid::nil()),
            position: Position(position),
        },
        metadata: Metadata::new(None),
        at: clock::now(),
    };
    let envelope = Envelope {
        partition: partition_of(key),
        prev: Position::START,
        transport: id,
        message,
    };
    client.publish(&envelope).await.unwrap();
}

async fn next(member: &mut Box<dyn Subscription>) -> (Vec<i64>, Receipt) {
    let next = timeout(STEP_MAX, member.next()).await;
    let Delivery { messages, progress } = next.expect("nothing came").unwrap();
    let positions = messages.iter().map(|it| it.origin.position.0).collect();
    match progress {
        Progress::Receipt { receipt, .. } => (positions, receipt),
        Progress::Place { .. } => panic!("a broker's delivery has a receipt"),
    }
}

fn committed(broker: &FakeBroker, key: &str) -> Option<i64> {
    let partition = i32::from(partition_of(key));
    broker.committed_offset("stanchion.painters", "stanchion.messages", partition)
}

#[tokio::test]
async fn what_was_acknowledged_while_partitions_are_shared_out_is_told_afterwards() {
    let broker = FakeBroker::start().await.unwrap();
    let client = client(&broker, Duration::from_secs(45));
    let mut member = member(&client).await;
    publish(&client, "a", 1).await;
    let (positions, receipt) = next(&mut member).await;
    assert_eq!(positions, [1]);
    broker.on_once(ApiKey::OffsetCommit, |_| {
        Control::Error(ErrorCode::IllegalGeneration)
    });
    member.acknowledge(receipt).await.unwrap();
    assert_eq!(committed(&broker, "a"), None);
    publish(&client, "b", 2).await;
    let (positions, receipt) = next(&mut member).await;
    assert_eq!(positions, [2], "the first was dealt with");
    member.acknowledge(receipt).await.unwrap();
    let both = ["a", "b"].map(|key| committed(&broker, key));
    assert_eq!(both, [Some(1), Some(1)]);
}

#[tokio::test]
async fn an_acknowledgement_of_what_went_to_another_member_ends_nothing() {
    let broker = FakeBroker::start().await.unwrap();
    let client = client(&broker, Duration::from_secs(3));
    let mut member = member(&client).await;
    publish(&client, "a", 1).await;
    let (positions, receipt) = next(&mut member).await;
    assert_eq!(positions, [1]);
    // A heartbeat is told that the group goes on without this member: it loses its partitions, and joins again.
    let joined = broker.request_count(ApiKey::JoinGroup);
    broker.on_once(ApiKey::Heartbeat, |_| {
        Control::Error(ErrorCode::UnknownMemberId)
    });
    let rejoining = async {
        while broker.request_count(ApiKey::JoinGroup) == joined {
            member.extend(receipt).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(STEP_MAX, rejoining).await.expect("it never joined");
    member.acknowledge(receipt).await.unwrap();
    assert_eq!(committed(&broker, "a"), None, "it is no longer this one's");
    let (positions, receipt) = next(&mut member).await;
    assert_eq!(positions, [1], "whoever has it now is given it again");
    member.acknowledge(receipt).await.unwrap();
    assert_eq!(committed(&broker, "a"), Some(1));
}
