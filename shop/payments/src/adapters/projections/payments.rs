//! A row a payment, for lists; a single payment is read from its stream.

mod list;

pub(crate) use list::PaymentList;

use async_trait::async_trait;
use shop_kernel::{Money, OrderId, PaymentId, UserId};
use stanchion::eventsourcing::{Aggregate, Filter, Projection, ProjectionError, Recorded};
use stanchion::sql::{Tx, params};

use crate::adapters::announce::payment_id;
use crate::domain::payment::{Payment, PaymentEvent as Event, Status};

/// Keeps the rows.
pub(crate) struct PaymentRows;

#[async_trait]
impl Projection<Tx> for PaymentRows {
    fn name(&self) -> &'static str {
        "payments"
    }

    fn filter(&self) -> Filter {
        Filter::category(Payment::CATEGORY)
    }

    fn tables(&self) -> &'static [&'static str] {
        &["payments"]
    }

    async fn apply(&self, tx: &mut Tx, recorded: &Recorded) -> Result<(), ProjectionError> {
        let event = recorded.decode::<Event>()?;
        let id = payment_id(recorded)?;
        match &event {
            Event::Requested {
                order_id,
                customer_id,
                amount,
                ..
            } => insert(tx, recorded, id, *order_id, *customer_id, *amount, &event),
            Event::Refunded { amount, .. } => refund(tx, recorded, id, *amount, &event),
            Event::Authorized { .. } => move_to(tx, recorded, id, Some(Status::Authorized), &event),
            Event::Declined { .. } => move_to(tx, recorded, id, Some(Status::Declined), &event),
            Event::Captured { .. } => move_to(tx, recorded, id, Some(Status::Captured), &event),
            Event::Voided { .. } => move_to(tx, recorded, id, Some(Status::Voided), &event),
            _ => move_to(tx, recorded, id, None, &event),
        }
        Ok(())
    }

    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError> {
        tx.queue("delete from payments", params![]);
        Ok(())
    }
}

fn insert(
    tx: &Tx,
    recorded: &Recorded,
    id: PaymentId,
    order_id: OrderId,
    customer_id: UserId,
    amount: Money,
    event: &Event,
) {
    tx.queue(
        "insert into payments (payment_id, order_id, customer_id, status, amount, currency, \
         refunded, version, created_at, updated_at) values ($1, $2, $3, $4, $5, $6, 0, $7, $8, $8)",
        params![
            id.0,
            order_id.0,
            customer_id.0,
            Status::Pending.as_str(),
            amount.amount,
            amount.currency.as_str(),
            recorded.version,
            event.at(),
        ],
    );
}

/// A payment that was cancelled before it was made has no row: nothing is updated then.
fn move_to(tx: &Tx, recorded: &Recorded, id: PaymentId, status: Option<Status>, event: &Event) {
    tx.queue(
        "update payments set status = coalesce($2, status), version = $3, updated_at = $4 \
         where payment_id = $1",
        params![
            id.0,
            status.map(Status::as_str),
            recorded.version,
            event.at()
        ],
    );
}

fn refund(tx: &Tx, recorded: &Recorded, id: PaymentId, amount: Money, event: &Event) {
    tx.queue(
        "update payments set refunded = refunded + $2, \
         status = case when refunded + $2 = amount then $3 else $4 end, \
         version = $5, updated_at = $6 where payment_id = $1",
        params![
            id.0,
            amount.amount,
            Status::Refunded.as_str(),
            Status::PartiallyRefunded.as_str(),
            recorded.version,
            event.at(),
        ],
    );
}
