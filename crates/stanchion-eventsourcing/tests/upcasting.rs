//! Old events are read as today's, by whoever reads them.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stanchion_eventsourcing::testing::stored_events_are_read;
use stanchion_eventsourcing::{
    Aggregate, Append, EventLog, Expected, Filter, LogError, MemoryLog, Metadata, NewEvent,
    Position, Repository, StreamId,
};
use stanchion_runtime::id;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    content = "data",
    rename_all = "snake_case",
    remote = "Self"
)]
enum OrderEvent {
    #[serde(rename = "placed.v3")]
    Placed(Placed),
    Shipped,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Placed {
    minor: i64,
    currency: String,
}

#[derive(Serialize, Deserialize)]
struct PlacedV2 {
    cents: i64,
}

#[derive(Deserialize)]
struct PlacedV1 {
    euros: i64,
}

stanchion_eventsourcing::upcasts! { OrderEvent {
    "placed" => "placed.v2": |old: PlacedV1| PlacedV2 { cents: old.euros * 100 },
    "placed.v2" => "placed.v3": |old: PlacedV2| Placed { minor: old.cents, currency: "EUR".into() },
} }

#[derive(Clone, Default)]
struct Order {
    minor: i64,
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;

impl Aggregate for Order {
    const CATEGORY: &'static str = "order";
    type Command = Placed;
    type Event = OrderEvent;
    type Refusal = Never;

    fn decide(&self, command: &Placed) -> Result<Vec<OrderEvent>, Never> {
        Ok(vec![OrderEvent::Placed(command.clone())])
    }

    fn evolve(&mut self, event: &OrderEvent) {
        if let OrderEvent::Placed(placed) = event {
            self.minor += placed.minor;
        }
    }
}

/// A log in which events of every age stand.
async fn old_log(events: &[(&str, Value)]) -> Arc<dyn EventLog> {
    let log = MemoryLog::new();
    let events = events.iter().map(|(kind, data)| NewEvent {
        id: id::new_v7(),
        kind: (*kind).into(),
        data: data.clone().into(),
    });
    let append = Append {
        stream: StreamId::new("order", "1"),
        expected: Expected::NoStream,
        events: events.collect(),
        inbox: None,
        timers: vec![],
        metadata: Metadata::new(None),
    };
    log.append(append).await.unwrap();
    Arc::new(log)
}

#[test]
fn events_stored_since_the_first_release_are_read() {
    stored_events_are_read::<OrderEvent>(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stored"));
}

#[tokio::test]
async fn an_aggregate_is_loaded_from_events_of_every_age() {
    let events = [
        ("placed", json!({"euros": 5})),
        ("placed.v2", json!({"cents": 50})),
        ("placed.v3", json!({"minor": 7, "currency": "EUR"})),
        ("shipped", Value::Null),
    ];
    let log = old_log(&events).await;
    let orders = Repository::<Order>::new(Arc::clone(&log));
    assert_eq!(orders.load("1").await.unwrap().state.minor, 557);
    let more = Placed {
        minor: 1,
        currency: "EUR".into(),
    };
    orders
        .execute("1", &more, &Metadata::new(None))
        .await
        .unwrap();
    let all = log.read(Position::START, &Filter::all(), 10).await.unwrap();
    let kinds: Vec<&str> = all.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["placed", "placed.v2", "placed.v3", "shipped", "placed.v3"]
    );
    // A projection or a relay decodes what it read in the same way.
    let first: OrderEvent = all[0].decode().unwrap();
    assert!(matches!(
        first,
        OrderEvent::Placed(Placed { minor: 500, .. })
    ));
}

#[tokio::test]
async fn an_old_event_that_does_not_fit_its_step_is_damage_and_says_where() {
    let log = old_log(&[("placed", json!({"dollars": 5}))]).await;
    let orders = Repository::<Order>::new(log);
    let Err(LogError::Damaged { reason, .. }) = orders.load("1").await else {
        panic!("it was read");
    };
    assert!(reason.contains("from placed to placed.v2"), "{reason}");
}

#[test]
#[should_panic(expected = "is read as something else")]
fn a_stored_shape_that_changed_is_noticed() {
    #[derive(Serialize, Deserialize)]
    #[serde(tag = "type", content = "data", rename_all = "snake_case")]
    enum Changed {
        #[serde(rename = "placed.v3")]
        Placed { minor: i64 },
    }
    let folder = std::env::temp_dir().join(id::new_v7().to_string());
    std::fs::create_dir(&folder).unwrap();
    let stored = r#"{"type": "placed.v3", "data": {"minor": 7, "currency": "JPY"}}"#;
    std::fs::write(folder.join("placed.json"), stored).unwrap();
    stored_events_are_read::<Changed>(&folder);
}
