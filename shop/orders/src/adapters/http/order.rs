//! `/orders/{id}`: one order, and calling it off.

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shop_contracts::FailureReason;
use shop_kernel::{Money, OrderId, PaymentId, Sku, UserId};
use stanchion::auth::Permission;
use stanchion::eventsourcing::Version;
use stanchion::server::{
    Answer, Guarded, Idempotency, IfMatch, IfNoneMatch, PathId, Problem, Routes, op,
};
use utoipa::ToSchema;

use super::problem::{ORDER_NOT_CANCELLABLE, ORDER_NOT_FOUND, unread};
use super::{OrderRoutes, caused_by};
use crate::adapters::guard::{SeeOrders, WriteOrders, guarded};
use crate::application::cancel_order::cancel_order;
use crate::application::read_order::{Found, find_order};
use crate::domain::order::{Item, Order, Placed, Status};

pub(super) fn routes() -> Routes<OrderRoutes> {
    let get = op("Get an order", get_order)
        .about("An order of the caller's, or anybody's with `order:read`.")
        .errors(&[ORDER_NOT_FOUND]);
    let cancel = op("Cancel an order", cancel)
        .about(
            "Before the order is settled what is held for it is released; after that the stock \
             returns and the money is refunded. Cancelling twice is the same as once.",
        )
        .errors(&[ORDER_NOT_FOUND, ORDER_NOT_CANCELLABLE]);
    Routes::new()
        .get("/orders/{id}", get)
        .post("/orders/{id}/cancel", cancel)
}

/// An order.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Order)]
pub(crate) struct OrderView {
    pub(crate) id: OrderId,
    pub(crate) customer_id: UserId,
    #[schema(inline)]
    pub(crate) status: Status,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Reason>,
    pub(crate) items: Vec<ItemView>,
    pub(crate) total: Money,
    /// Its payment; absent when it was rejected before one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payment_id: Option<PaymentId>,
    /// Counts what happened to it, from 0; also its `ETag`.
    pub(crate) version: i64,
    pub(crate) placed_at: Timestamp,
    /// When it left `pending`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) settled_at: Option<Timestamp>,
}

/// So many of a product, by name and price as they were when the order was placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = OrderItem)]
pub(crate) struct ItemView {
    pub(crate) sku: Sku,
    #[schema(example = "Coffee beans, 1 kg")]
    pub(crate) name: String,
    #[schema(minimum = 1, maximum = 1_000_000, example = 2)]
    pub(crate) quantity: i64,
    pub(crate) unit_price: Money,
    pub(crate) total: Money,
}

/// Why an order was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = OrderRejection)]
pub(crate) enum Reason {
    /// There was not enough of a product.
    OutOfStock,
    /// The payment was refused.
    PaymentDeclined,
    /// A product vanished meanwhile.
    UnknownProduct,
    /// It took too long.
    TimedOut,
}

async fn get_order(
    caller: Guarded<SeeOrders>,
    State(state): State<OrderRoutes>,
    PathId(order_id): PathId<OrderId>,
    _: IfNoneMatch,
) -> Result<Answer<OrderView>, Problem> {
    shown(&caller, &state, order_id).await
}

/// The order as it is now, if the caller may see it.
pub(crate) async fn shown(
    caller: &Guarded<SeeOrders>,
    state: &OrderRoutes,
    order_id: OrderId,
) -> Result<Answer<OrderView>, Problem> {
    let found = visible(caller, state, order_id).await?;
    let view = OrderView::new(&found.order, &found.placed, found.version);
    Ok(Answer::ok(view).etag(found.version.0))
}

pub(crate) async fn cancel(
    caller: Guarded<WriteOrders>,
    State(state): State<OrderRoutes>,
    PathId(order_id): PathId<OrderId>,
    idempotency: Idempotency,
    if_match: IfMatch,
) -> Result<Answer<OrderView>, Problem> {
    let found = visible(&caller, &state, order_id).await?;
    let expected = if_match.expected(found.version.0)?.map(Version);
    let metadata = caused_by(&caller);
    let settling = |order: &Order, version| {
        let answer = Answer::ok(OrderView::of(order, version)?).etag(version.0);
        idempotency.entry(&answer)
    };
    let executed = cancel_order(&state.orders, order_id, expected, &metadata, settling)
        .await
        .map_err(|error| Problem::from(error).with("order_id", order_id))?;
    let version = executed.version.unwrap_or(found.version);
    let view = OrderView::new(&executed.state, &found.placed, version);
    let log = state.orders.repository.log().id();
    let answer = Answer::ok(view).etag(version.0);
    Ok(answer.consistency(log, executed.position))
}

/// The order, if the caller is allowed `P` on it; otherwise there is none.
pub(super) async fn visible<P: Permission>(
    caller: &Guarded<P>,
    state: &OrderRoutes,
    order_id: OrderId,
) -> Result<Found, Problem> {
    let may_see = |order: &Order, placed: &Placed| {
        let allowed = caller.may(&*state.policies, &guarded(order, placed));
        allowed.is_ok()
    };
    let found = find_order(&state.orders, order_id, may_see).await;
    found.map_err(|error| unread(error, order_id))
}

impl OrderView {
    /// `None` for an order that was never placed.
    pub(crate) fn of(order: &Order, version: Version) -> Option<Self> {
        let placed = order.placed.as_ref()?;
        Some(Self::new(order, placed, version))
    }

    fn new(order: &Order, placed: &Placed, version: Version) -> Self {
        let reason = order.reason.map(Reason::from);
        Self {
            id: placed.order_id,
            customer_id: placed.customer_id,
            status: order.status,
            reason,
            items: placed.items.iter().map(ItemView::from).collect(),
            total: placed.total,
            payment_id: payment_made(reason).then_some(placed.payment_id),
            version: version.0,
            placed_at: placed.at,
            settled_at: order.settled_at,
        }
    }
}

/// Without stock no payment was ever asked for.
pub(crate) fn payment_made(reason: Option<Reason>) -> bool {
    !matches!(reason, Some(Reason::OutOfStock | Reason::UnknownProduct))
}

impl From<&Item> for ItemView {
    fn from(item: &Item) -> Self {
        Self {
            sku: item.sku.clone(),
            name: item.name.clone(),
            quantity: item.quantity,
            unit_price: item.unit_price,
            total: item.total,
        }
    }
}

impl From<FailureReason> for Reason {
    fn from(reason: FailureReason) -> Self {
        match reason {
            FailureReason::OutOfStock => Self::OutOfStock,
            FailureReason::PaymentDeclined => Self::PaymentDeclined,
            FailureReason::UnknownProduct => Self::UnknownProduct,
            FailureReason::TimedOut => Self::TimedOut,
        }
    }
}
