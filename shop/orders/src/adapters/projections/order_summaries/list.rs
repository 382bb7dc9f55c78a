//! Reading the rows: filtered, sorted, by page or cursor.

use jiff::Timestamp;
use shop_kernel::{Currency, Money, OrderId, PaymentId, UserId};
use stanchion::messaging::LogId;
use stanchion::server::{ConsistencyToken, Deadline, Listed, Listing, Order, Problem, codes};
use stanchion::sql::{Db, List, Projector, Row, SqlError, Value, params};
use uuid::Uuid;

use super::named;
use crate::adapters::http::order::{OrderView, payment_made};
use crate::adapters::http::orders::OrderFilters;

const COLUMNS: &str = "order_id, customer_id, status, reason, items, total, currency, \
                       payment_id, version, placed_at, settled_at";

/// The list of orders.
pub(crate) struct OrderList {
    db: Db,
    log: LogId,
    projector: Projector,
}

impl OrderList {
    /// The rows in `db` that `projector` makes of `log`.
    pub(crate) fn new(db: Db, log: LogId, projector: Projector) -> Self {
        Self { db, log, projector }
    }

    /// The orders of this customer, or everybody's.
    pub(crate) async fn read(
        &self,
        listing: &Listing<OrderFilters>,
        customer: Option<UserId>,
        consistency: ConsistencyToken,
    ) -> Result<Listed<OrderView>, Problem> {
        self.include(consistency).await?;
        let wanted = wanted(listing, customer)?;
        let total = match listing.wants_total() {
            true => Some(wanted.total(&self.db).await.map_err(out)?),
            false => None,
        };
        let rows = wanted.rows(&self.db, listing.fetch()).await.map_err(out)?;
        let orders: Result<Vec<_>, SqlError> = rows.iter().map(order).collect();
        let orders = orders.map_err(Problem::internal)?;
        let by_total = listing.sort == "total";
        Ok(Listed::of(listing, orders, total, |order| {
            key(order, by_total)
        }))
    }

    /// Waits until the rows have the write that gave the token out.
    async fn include(&self, consistency: ConsistencyToken) -> Result<(), Problem> {
        let wanted = consistency.position(self.log).zip(Deadline::current());
        let Some((position, Deadline(deadline))) = wanted else {
            return Ok(());
        };
        let reached = self.projector.wait_for(position, deadline).await;
        reached.map_err(|behind| match behind.halted {
            // Said at once: the time that is left would not help.
            Some(_) => Problem::unavailable(behind),
            None => codes::DEADLINE_EXCEEDED.problem().caused_by(behind),
        })
    }
}

fn wanted(listing: &Listing<OrderFilters>, customer: Option<UserId>) -> Result<List, Problem> {
    let by_total = listing.sort == "total";
    let column = if by_total { "total" } else { "placed_at" };
    let filters = &listing.filters;
    let list = List::of("order_summaries", COLUMNS, "order_id")
        .filter_some("customer_id = #", customer.map(|customer| customer.0))
        .filter_some("status = #", filters.status.map(|status| status.as_str()))
        .filter_some("placed_at > #", filters.placed_after)
        .filter_some("placed_at < #", filters.placed_before)
        .sorted_by(column, listing.order == Order::Desc)
        .offset(listing.offset());
    let Some((number, order_id)) = listing.after::<(i64, OrderId)>()? else {
        return Ok(list);
    };
    let value = if by_total {
        Value::I64(number)
    } else {
        instant(number)?
    };
    Ok(list.after(params![value, order_id.0]))
}

/// What the list is sorted by, the id last: where a cursor points.
fn key(order: &OrderView, by_total: bool) -> (i64, OrderId) {
    let placed_at = order.placed_at.as_microsecond();
    (
        if by_total {
            order.total.amount
        } else {
            placed_at
        },
        order.id,
    )
}

fn instant(microseconds: i64) -> Result<Value, Problem> {
    let at = Timestamp::from_microsecond(microseconds);
    at.map(Value::from)
        .map_err(|_| codes::INVALID_CURSOR.problem())
}

fn order(row: &Row) -> Result<OrderView, SqlError> {
    let reason: Option<&str> = row.get(3)?;
    let reason = reason.map(named).transpose()?;
    let currency: Currency = named(row.get(6)?)?;
    let payment_id = PaymentId(row.get::<Uuid>(7)?);
    Ok(OrderView {
        id: OrderId(row.get(0)?),
        customer_id: UserId(row.get(1)?),
        status: named(row.get(2)?)?,
        reason,
        items: row.json(4)?,
        total: Money::new(row.get(5)?, currency),
        payment_id: payment_made(reason).then_some(payment_id),
        version: row.get(8)?,
        placed_at: row.get(9)?,
        settled_at: row.get(10)?,
    })
}

fn out(error: SqlError) -> Problem {
    Problem::unavailable(error)
}
