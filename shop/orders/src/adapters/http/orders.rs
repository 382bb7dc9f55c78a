//! `/orders`: placing and listing.

use std::time::Duration;

use axum::extract::State;
use jiff::Timestamp;
use serde::Deserialize;
use shop_kernel::{OrderId, Sku, UserId};
use stanchion::auth::Principal;
use stanchion::eventsourcing::{Executed, Version};
use stanchion::server::{
    Answer, Body, ConsistencyToken, Filters, Guarded, Idempotency, IdempotencyRule, Listed,
    Listing, Operation, Prefer, Priority, Problem, Routes, Validate, Violations, codes, op,
};
use utoipa::ToSchema;

use super::order::OrderView;
use super::{OrderRoutes, caused_by};
use crate::adapters::guard::{SeeOrders, WriteOrders, orders_of};
use crate::application::place_order::{PlaceOrder, Wish, place_order};
use crate::application::watch_order::wait_until_settled;
use crate::domain::order::{ITEMS_MAX, Order, QUANTITY_MAX, Status};

/// The longest name of a payment method.
const PAYMENT_METHOD_MAX: usize = 100;

/// Longer than the longest wait a client may ask for.
const PLACE_DEADLINE: Duration = Duration::from_secs(35);

pub(super) fn routes() -> Routes<OrderRoutes> {
    let place = op("Place an order", place_own_order);
    let list = op("List orders", list_orders)
        .about("The caller's orders, or everybody's with `order:read`.");
    // A service that acts for nobody has no orders of its own.
    Routes::new()
        .post("/orders", placing(place).errors(&[codes::FORBIDDEN]))
        .get("/orders", list.errors(&[codes::FORBIDDEN]))
}

/// What is true of every operation that places an order.
pub(super) fn placing(operation: Operation<OrderRoutes>) -> Operation<OrderRoutes> {
    operation
        .about(
            "Prices are the shop's. The order is `pending` first; with `Prefer: wait=5` the \
             answer comes when it is settled (200), or as it stands after that time (202).",
        )
        .idempotency(IdempotencyRule::Required)
        .deadline(PLACE_DEADLINE)
        // Somebody pays.
        .priority(Priority::Critical)
        .status(202)
        .status(200)
}

/// An order to be placed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOrder {
    /// What is wanted. A product that is named twice is one item with the sum.
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<NewItem>,
    /// The payment gateway's name of the payment method.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = "^[A-Za-z0-9_-]*$",
        example = "pm_card_visa"
    )]
    payment_method: String,
}

/// So many of a product.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOrderItem)]
struct NewItem {
    sku: Sku,
    #[schema(minimum = 1, maximum = 1_000_000, example = 2)]
    quantity: i64,
}

/// Which orders.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderFilters {
    /// Only those in this status.
    #[schema(inline)]
    pub(crate) status: Option<Status>,
    /// Only those placed later than this.
    pub(crate) placed_after: Option<Timestamp>,
    /// Only those placed earlier than this.
    pub(crate) placed_before: Option<Timestamp>,
}

impl Filters for OrderFilters {
    const SORTS: &'static [&'static str] = &["placed_at", "total"];
}

impl Validate for NewOrder {
    fn validate(&self, violations: &mut Violations) {
        let fits = (1..=ITEMS_MAX).contains(&self.items.len());
        violations.require(fits, "items", format!("must have 1 to {ITEMS_MAX} items"));
        if fits {
            violations.each("items", &self.items);
        }
        let method = &self.payment_method;
        violations.length("payment_method", method, 1, PAYMENT_METHOD_MAX);
        let plain = method
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let reason = "must be of letters, digits, '_' and '-'";
        violations.require(plain, "payment_method", reason);
    }
}

impl Validate for NewItem {
    fn validate(&self, violations: &mut Violations) {
        violations.range("quantity", self.quantity, 1, QUANTITY_MAX);
    }
}

async fn place_own_order(
    caller: Guarded<WriteOrders>,
    State(state): State<OrderRoutes>,
    idempotency: Idempotency,
    prefer: Prefer,
    Body(new): Body<NewOrder>,
) -> Result<Answer<OrderView>, Problem> {
    let customer = own(&caller)?;
    caller.may(&*state.policies, &orders_of(customer))?;
    place(&caller, &state, customer, &idempotency, &prefer, new).await
}

/// Whose orders the caller's own are.
pub(crate) fn own(caller: &Principal) -> Result<UserId, Problem> {
    let user = caller.acting_user().ok_or_else(Problem::forbidden)?;
    Ok(UserId(user))
}

pub(crate) async fn list_orders(
    caller: Guarded<SeeOrders>,
    State(state): State<OrderRoutes>,
    consistency: ConsistencyToken,
    listing: Listing<OrderFilters>,
) -> Result<Listed<OrderView>, Problem> {
    let customer = if caller.everywhere() {
        None
    } else {
        let customer = own(&caller)?;
        caller.may(&*state.policies, &orders_of(customer))?;
        Some(customer)
    };
    state.list.read(&listing, customer, consistency).await
}

/// Places an order for this customer, who is the caller or was looked at before.
pub(crate) async fn place(
    caller: &Principal,
    state: &OrderRoutes,
    customer_id: UserId,
    idempotency: &Idempotency,
    prefer: &Prefer,
    new: NewOrder,
) -> Result<Answer<OrderView>, Problem> {
    let metadata = caused_by(caller);
    let settling = |order: &Order, version| idempotency.entry(&accepted(order, version)?);
    let wanted = new.wanted(customer_id);
    let executed = place_order(&state.orders, wanted, &metadata, settling).await?;
    let answer = as_it_stands(state, &executed, prefer).await;
    let answer = answer.ok_or_else(|| Problem::internal("a placed order has nothing to show"))?;
    let log = state.orders.repository.log().id();
    Ok(answer.consistency(log, executed.position))
}

/// 200 if the client waits for the order and it is settled in time, else 202 as it is now.
async fn as_it_stands(
    state: &OrderRoutes,
    executed: &Executed<Order>,
    prefer: &Prefer,
) -> Option<Answer<OrderView>> {
    let version = executed.version?;
    let order_id = executed.state.placed.as_ref()?.order_id;
    if prefer.wait().is_none() {
        return accepted(&executed.state, version);
    }
    let settled = prefer
        .until(wait_until_settled(&state.orders, order_id))
        .await;
    let Some((order, version)) = settled else {
        return accepted(&executed.state, version);
    };
    let view = OrderView::of(&order, version)?;
    Some(Answer::ok(view).at(location(order_id)).etag(version.0))
}

fn accepted(order: &Order, version: Version) -> Option<Answer<OrderView>> {
    let view = OrderView::of(order, version)?;
    Some(Answer::accepted(location(view.id), view).etag(version.0))
}

fn location(order_id: OrderId) -> String {
    format!("/orders/{order_id}")
}

impl NewOrder {
    fn wanted(self, customer_id: UserId) -> PlaceOrder {
        let wish = |item: NewItem| Wish {
            sku: item.sku,
            quantity: item.quantity,
        };
        PlaceOrder {
            customer_id,
            wishes: self.items.into_iter().map(wish).collect(),
            payment_method: self.payment_method,
        }
    }
}
