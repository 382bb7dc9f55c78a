//! Reading the rows: filtered, sorted, by page or cursor.

use jiff::Timestamp;
use shop_kernel::{Currency, Money, OrderId, PaymentId, UserId};
use stanchion::messaging::LogId;
use stanchion::server::{ConsistencyToken, Deadline, Listed, Listing, Order, Problem, codes};
use stanchion::sql::{Db, List, Projector, Row, SqlError, Value, params};

use crate::adapters::http::payments::{PaymentFilters, PaymentView};
use crate::domain::payment::Status;

const COLUMNS: &str = "payment_id, order_id, status, amount, currency, refunded, version, \
                       created_at, updated_at";

/// The list of payments.
pub(crate) struct PaymentList {
    db: Db,
    log: LogId,
    projector: Projector,
}

impl PaymentList {
    /// The rows in `db` that `projector` makes of `log`.
    pub(crate) fn new(db: Db, log: LogId, projector: Projector) -> Self {
        Self { db, log, projector }
    }

    /// The payments of this customer, or everybody's.
    pub(crate) async fn read(
        &self,
        listing: &Listing<PaymentFilters>,
        customer: Option<UserId>,
        consistency: ConsistencyToken,
    ) -> Result<Listed<PaymentView>, Problem> {
        self.include(consistency).await?;
        let wanted = wanted(listing, customer)?;
        let total = match listing.wants_total() {
            true => Some(wanted.total(&self.db).await.map_err(Problem::unavailable)?),
            false => None,
        };
        let rows = wanted.rows(&self.db, listing.fetch()).await;
        let rows = rows.map_err(Problem::unavailable)?;
        let payments: Result<Vec<_>, SqlError> = rows.iter().map(payment).collect();
        let payments = payments.map_err(Problem::internal)?;
        Ok(Listed::of(listing, payments, total, |payment| {
            key(payment, listing.sort)
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

fn wanted(listing: &Listing<PaymentFilters>, customer: Option<UserId>) -> Result<List, Problem> {
    let column = match listing.sort {
        "amount" => "amount",
        "updated_at" => "updated_at",
        _ => "created_at",
    };
    let filters = &listing.filters;
    let list = List::of("payments", COLUMNS, "payment_id")
        .filter_some("customer_id = #", customer.map(|customer| customer.0))
        .filter_some("order_id = #", filters.order_id.map(|order| order.0))
        .filter_some("status = #", filters.status.map(Status::as_str))
        .sorted_by(column, listing.order == Order::Desc)
        .offset(listing.offset());
    let Some((number, payment_id)) = listing.after::<(i64, PaymentId)>()? else {
        return Ok(list);
    };
    let value = match column {
        "amount" => Value::I64(number),
        _ => instant(number)?,
    };
    Ok(list.after(params![value, payment_id.0]))
}

/// What the list is sorted by, the id last: where a cursor points.
fn key(payment: &PaymentView, sort: &str) -> (i64, PaymentId) {
    let number = match sort {
        "amount" => payment.amount.amount,
        "updated_at" => payment.updated_at.as_microsecond(),
        _ => payment.created_at.as_microsecond(),
    };
    (number, payment.id)
}

fn instant(microseconds: i64) -> Result<Value, Problem> {
    let at = Timestamp::from_microsecond(microseconds);
    at.map(Value::from)
        .map_err(|_| codes::INVALID_CURSOR.problem())
}

fn payment(row: &Row) -> Result<PaymentView, SqlError> {
    let status: &str = row.get(2)?;
    let unknown = || SqlError::Decode(format!("`{status}` is no status of a payment"));
    let currency: Currency = row
        .get::<&str>(4)?
        .parse()
        .map_err(|error| SqlError::Decode(format!("{error}")))?;
    Ok(PaymentView {
        id: PaymentId(row.get(0)?),
        order_id: OrderId(row.get(1)?),
        status: Status::parse(status).ok_or_else(unknown)?,
        amount: Money::new(row.get(3)?, currency),
        refunded: Money::new(row.get(5)?, currency),
        refunds: None,
        version: row.get(6)?,
        created_at: row.get(7)?,
        updated_at: row.get(8)?,
    })
}
