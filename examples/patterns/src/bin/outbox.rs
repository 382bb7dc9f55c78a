//! Outbox: the log is the outbox; what is to be announced is stored by the very write it tells of.
//!
//! The usual defect is save-then-publish: the order is stored, the process dies, nobody ever hears of
//! it. Here the event *is* the order, and a relay makes messages of whatever it finds in the log,
//! after a crash too. A message has the same id each time, so that its receivers know a repeat.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stanchion::eventsourcing::{
    Announcement, Append, EventLog, Expected, Metadata, NewEvent, Relay, StreamId,
};
use stanchion::messaging::{Contract, Feed, Message, Place};
use stanchion::sql::{Db, Mode, SqlLog, migrate};

/// As this context knows it; it may change with the code.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum OrderEvent {
    Placed { customer: String, note: String },
    NoteChanged { note: String },
}

/// As others know it; it stays.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct OrderPlaced {
    order: String,
    customer: String,
}

impl Contract for OrderPlaced {
    const NAME: &'static str = "orders.order_placed.v1";

    fn key(&self) -> String {
        self.order.clone()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let db = Db::memory("orders")?;
    migrate(&db, &[], Mode::Auto).await?;
    place_and_die(SqlLog::open(db.clone()).await?).await?;

    // The next process opens the same store.
    let relay = relay(Arc::new(SqlLog::open(db).await?));
    let announced = announced(&relay).await?;
    for message in &announced {
        println!(
            "announced after the crash: {} {}",
            message.contract, message.payload
        );
    }
    let placed: OrderPlaced = announced[0].decode()?;
    assert_eq!(
        (placed.order.as_str(), placed.customer.as_str()),
        ("7", "ada")
    );
    assert_eq!(
        announced.len(),
        1,
        "a changed note is nobody else's business"
    );

    // It dies once more before the broker's ack: the same message again, not another one.
    let again = self::announced(&relay).await?;
    println!(
        "announced once more, with the same id: {}",
        again == announced
    );
    assert_eq!(again, announced);
    Ok(())
}

/// Stores an order. There is no publish call that could be forgotten, fail, or come too early.
async fn place_and_die(log: SqlLog) -> anyhow::Result<()> {
    let placed = OrderEvent::Placed {
        customer: "ada".into(),
        note: "ring twice".into(),
    };
    let changed = OrderEvent::NoteChanged {
        note: "do not ring".into(),
    };
    let append = Append {
        stream: StreamId::new("order", "7"),
        expected: Expected::NoStream,
        events: vec![NewEvent::of(&placed)?, NewEvent::of(&changed)?],
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    };
    let appended = log.append(append).await?;
    println!(
        "stored up to position {}; the process dies here",
        appended.position
    );
    Ok(())
}

/// Pure: the same entry always makes the same messages.
fn relay(log: Arc<dyn EventLog>) -> Relay {
    Relay::new("orders", log, |recorded| match recorded.decode()? {
        OrderEvent::Placed { customer, .. } => Ok(vec![Announcement::of(&OrderPlaced {
            order: recorded.stream.id().into(),
            customer,
        })]),
        OrderEvent::NoteChanged { .. } => Ok(vec![]),
    })
}

/// What a broker gets that starts at the beginning.
async fn announced(relay: &Relay) -> anyhow::Result<Vec<Message>> {
    Ok(relay.read(Place::START, 100).await?.messages)
}
