//! `/payments`: reading.

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shop_kernel::{Money, OrderId, PaymentId, UserId};
use stanchion::eventsourcing::Version;
use stanchion::server::{
    Answer, Code, ConsistencyToken, Filters, Guarded, Listed, Listing, PathId, Problem, Routes,
    codes, op,
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::PaymentRoutes;
use crate::adapters::guard::{SeePayments, guarded, payments_of};
use crate::domain::payment::{Payment, Refund, RefundStatus, Status};

pub(super) const PAYMENT_NOT_FOUND: Code =
    Code::not_found("PAYMENT_NOT_FOUND", "There is no such payment.");

pub(super) fn routes() -> Routes<PaymentRoutes> {
    Routes::new()
        .get(
            "/payments",
            op("List payments", list_payments)
                .about("The caller's payments, or everybody's with `payment:read`.")
                .errors(&[codes::FORBIDDEN]),
        )
        .get(
            "/payments/{id}",
            op("Get a payment", get_payment).errors(&[PAYMENT_NOT_FOUND]),
        )
}

/// A payment for an order.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Payment)]
pub(crate) struct PaymentView {
    pub(crate) id: PaymentId,
    pub(crate) order_id: OrderId,
    pub(crate) status: Status,
    pub(crate) amount: Money,
    /// What went back to the customer; refunds that are pending or failed do not count.
    pub(crate) refunded: Money,
    /// Every refund, oldest first; lists leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refunds: Option<Vec<RefundView>>,
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// Money on its way back, or back.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Refund)]
pub(crate) struct RefundView {
    pub(crate) id: Uuid,
    pub(crate) amount: Money,
    pub(crate) status: RefundStatus,
    pub(crate) created_at: Timestamp,
}

/// Which payments.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaymentFilters {
    /// Only those for this order.
    pub(crate) order_id: Option<OrderId>,
    /// Only those in this status.
    #[schema(inline)]
    pub(crate) status: Option<Status>,
}

impl Filters for PaymentFilters {
    const SORTS: &'static [&'static str] = &["created_at", "updated_at", "amount"];
}

impl PaymentView {
    /// What is shown of a payment; nothing of one that was never made.
    pub(super) fn of(payment: &Payment, version: Version) -> Option<Self> {
        let request = payment.request.as_ref()?;
        Some(Self {
            id: request.payment_id,
            order_id: request.order_id,
            status: payment.status(),
            amount: request.amount,
            refunded: payment.refunded_money()?,
            refunds: Some(payment.refunds.iter().map(RefundView::from).collect()),
            version: version.0,
            created_at: request.at,
            updated_at: payment.updated_at.unwrap_or(request.at),
        })
    }
}

impl From<&Refund> for RefundView {
    fn from(refund: &Refund) -> Self {
        Self {
            id: refund.id.0,
            amount: refund.amount,
            status: refund.status,
            created_at: refund.at,
        }
    }
}

pub(super) fn not_found(id: PaymentId) -> Problem {
    PAYMENT_NOT_FOUND.with("payment_id", id)
}

async fn list_payments(
    caller: Guarded<SeePayments>,
    State(state): State<PaymentRoutes>,
    consistency: ConsistencyToken,
    listing: Listing<PaymentFilters>,
) -> Result<Listed<PaymentView>, Problem> {
    let customer = if caller.everywhere() {
        None
    } else {
        let customer = UserId(caller.acting_user().ok_or_else(Problem::forbidden)?);
        caller.may(&*state.policies, &payments_of(customer))?;
        Some(customer)
    };
    state.list.read(&listing, customer, consistency).await
}

pub(crate) async fn get_payment(
    caller: Guarded<SeePayments>,
    State(state): State<PaymentRoutes>,
    PathId(id): PathId<PaymentId>,
) -> Result<Answer<PaymentView>, Problem> {
    let loaded = state.payments.load(&id.to_string()).await?;
    let seen = guarded(&loaded.state)
        .is_some_and(|payment| caller.may(&*state.policies, &payment).is_ok());
    let version = loaded.version.filter(|_| seen);
    let view = version.and_then(|version| PaymentView::of(&loaded.state, version));
    let view = view.ok_or_else(|| not_found(id))?;
    let version = view.version;
    Ok(Answer::ok(view).etag(version))
}
