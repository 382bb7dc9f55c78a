//! Gives an empty shop a past, for measurements: orders that were placed and confirmed, in the log of orders alone.
//!
//! Everybody who follows that log to act on it (consumers) is told that it is done with; projections are not, so that the
//! next start of the shop replays all of it into its lists. The shop must not run, its tables must be there
//! (`shop migrate`).

use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::Parser;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use stanchion::eventsourcing::{
    Append, EventLog, Expected, Filter, Metadata, NewEvent, Position, StreamId,
};
use stanchion::messaging::{ConsumerStore, Place};
use stanchion::runtime::{clock, id};
use stanchion::sql::{DatabaseSettings, DatabaseUrl, Db, SqlConsumerStore, SqlLog};

/// Appends under way at the same time; they share transactions.
const AT_ONCE: usize = 256;

/// Who acts on what is announced, by module.
const CONSUMERS: [(&str, &[&str]); 3] = [
    ("orders", &["orders.fulfilment", "orders.settlement"]),
    ("inventory", &["reservations", "stockkeeper"]),
    ("payments", &["payments-commands", "payments-gateway"]),
];

#[derive(Parser)]
struct Arguments {
    /// The shop's `database.url`: `sqlite:FOLDER` or `postgres://…`.
    #[arg(long)]
    url: DatabaseUrl,
    /// How many orders; each has two events.
    #[arg(long, default_value_t = 500_000)]
    orders: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let orders = open(&arguments.url, "orders").await?;
    let log = Arc::new(SqlLog::open(orders).await?);
    ensure!(
        log.head().await? == Position::START,
        "the shop has a past already"
    );
    stream::iter(0..arguments.orders)
        .map(|_| place(Arc::clone(&log)))
        .buffer_unordered(AT_ONCE)
        .try_for_each(|()| async { Ok(()) })
        .await?;
    let head = log.head().await?;
    let last = log.read(Position(head.0 - 1), &Filter::all(), 1).await?;
    let done = Place {
        position: head,
        event: last.first().map(|entry| entry.id),
    };
    for (module, consumers) in CONSUMERS {
        let store = SqlConsumerStore::new(open(&arguments.url, module).await?);
        for consumer in consumers {
            store.advance(consumer, log.id(), done).await?;
        }
    }
    println!("{head} events");
    Ok(())
}

async fn open(url: &DatabaseUrl, module: &str) -> anyhow::Result<Db> {
    let db = Db::open(url, module, &DatabaseSettings::default()).await;
    db.with_context(|| format!("the store of {module}"))
}

async fn place(log: Arc<SqlLog>) -> anyhow::Result<()> {
    let (order, at) = (id::new_v7().to_string(), clock::now());
    let price = json!({ "amount": 1250, "currency": "EUR" });
    let item = json!({
        "sku": "MUG-BLUE", "name": "Blue mug", "quantity": 1, "unit_price": price, "total": price,
    });
    let customer = id::new_v7();
    // Of somebody who was shredded since: it takes no key.
    let method = json!({ "subject": customer, "cipher": null });
    let placed = json!({
        "order_id": order, "customer_id": customer, "payment_id": id::new_v7(),
        "items": [item], "total": price, "payment_method": method, "at": at,
    });
    let event = |kind: &str, data| NewEvent {
        id: id::new_v7(),
        kind: kind.into(),
        data: serde_json::Value::into(data),
    };
    let append = Append {
        stream: StreamId::new("order", order.as_str()),
        expected: Expected::NoStream,
        events: vec![
            event("order_placed", placed),
            event("order_confirmed", json!({ "at": at })),
        ],
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    };
    log.append(append).await?;
    Ok(())
}
