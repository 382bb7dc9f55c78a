//! A row an order, for lists; a single order is read from its stream.

mod list;

pub(crate) use list::OrderList;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use shop_kernel::OrderId;
use stanchion::eventsourcing::{Aggregate, Filter, Projection, ProjectionError, Recorded};
use stanchion::sql::{SqlError, Tx, Value, params};

use crate::adapters::http::order::{ItemView, Reason};
use crate::domain::order::{Order, OrderEvent, Status};

/// Keeps the rows.
pub(crate) struct OrderSummaries;

#[async_trait]
impl Projection<Tx> for OrderSummaries {
    fn name(&self) -> &'static str {
        "order_summaries"
    }

    fn filter(&self) -> Filter {
        Filter::category(Order::CATEGORY)
    }

    fn tables(&self) -> &'static [&'static str] {
        &["order_summaries"]
    }

    async fn apply(&self, tx: &mut Tx, recorded: &Recorded) -> Result<(), ProjectionError> {
        match recorded.decode::<OrderEvent>()? {
            placed @ OrderEvent::OrderPlaced { .. } => insert(tx, recorded, placed)?,
            OrderEvent::OrderConfirmed { at } => {
                settle(tx, recorded, Status::Confirmed, None, at)?;
            }
            OrderEvent::OrderRejected { reason, at } => {
                settle(tx, recorded, Status::Rejected, Some(reason.into()), at)?;
            }
            OrderEvent::OrderCancelled { at } => {
                settle(tx, recorded, Status::Cancelled, None, at)?;
            }
        }
        Ok(())
    }

    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError> {
        let emptied = tx.exec("delete from order_summaries", params![]).await;
        emptied
            .map(drop)
            .map_err(|error| ProjectionError::Store(error.to_string()))
    }
}

fn insert(tx: &Tx, recorded: &Recorded, placed: OrderEvent) -> Result<(), ProjectionError> {
    let OrderEvent::OrderPlaced {
        order_id,
        customer_id,
        payment_id,
        items,
        total,
        at,
        ..
    } = placed
    else {
        return Ok(());
    };
    let items: Vec<ItemView> = items.iter().map(ItemView::from).collect();
    tx.queue(
        "insert into order_summaries (order_id, customer_id, status, items, total, currency, \
         payment_id, version, placed_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![
            order_id.0,
            customer_id.0,
            Status::Pending.as_str(),
            json!(items),
            total.amount,
            total.currency.as_str(),
            payment_id.0,
            recorded.version,
            at,
        ],
    );
    Ok(())
}

fn settle(
    tx: &Tx,
    recorded: &Recorded,
    status: Status,
    reason: Option<Reason>,
    at: jiff::Timestamp,
) -> Result<(), ProjectionError> {
    let order_id = recorded.stream.id().parse::<OrderId>();
    let order_id = order_id.map_err(|error| ProjectionError::Poison(error.to_string()))?;
    tx.queue(
        "update order_summaries set status = $2, reason = $3, version = $4, \
         settled_at = coalesce(settled_at, $5) where order_id = $1",
        params![
            order_id.0,
            status.as_str(),
            reason.map(word),
            recorded.version,
            at,
        ],
    );
    Ok(())
}

/// A name of the API as the text of a column.
fn word(name: impl serde::Serialize) -> Value {
    match json!(name) {
        Json::String(text) => Value::Text(text),
        _ => Value::Null,
    }
}

/// The name of the API that a column's text is.
fn named<T: DeserializeOwned>(text: &str) -> Result<T, SqlError> {
    serde_json::from_value(text.into()).map_err(|error| SqlError::Decode(error.to_string()))
}
