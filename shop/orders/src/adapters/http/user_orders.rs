//! `/users/{id}/orders`: the same as `/orders`, for one customer.

use axum::extract::State;
use shop_kernel::UserId;
use stanchion::auth::Permission;
use stanchion::server::{
    Answer, Body, ConsistencyToken, Guarded, Idempotency, Listed, Listing, PathId, Prefer, Problem,
    Routes, op,
};

use super::OrderRoutes;
use super::order::OrderView;
use super::orders::{NewOrder, OrderFilters, place, placing};
use super::problem::USER_NOT_FOUND;
use crate::adapters::guard::{SeeOrders, WriteOrders, orders_of};

pub(super) fn routes() -> Routes<OrderRoutes> {
    let place = op("Place an order for a customer", place_user_order);
    let list = op("List a customer's orders", list_user_orders);
    Routes::new()
        .post(
            "/users/{id}/orders",
            placing(place).errors(&[USER_NOT_FOUND]),
        )
        .get("/users/{id}/orders", list.errors(&[USER_NOT_FOUND]))
}

async fn place_user_order(
    caller: Guarded<WriteOrders>,
    State(state): State<OrderRoutes>,
    PathId(customer): PathId<UserId>,
    idempotency: Idempotency,
    prefer: Prefer,
    Body(new): Body<NewOrder>,
) -> Result<Answer<OrderView>, Problem> {
    require(&caller, &state, customer)?;
    place(&caller, &state, customer, &idempotency, &prefer, new).await
}

pub(crate) async fn list_user_orders(
    caller: Guarded<SeeOrders>,
    State(state): State<OrderRoutes>,
    PathId(customer): PathId<UserId>,
    consistency: ConsistencyToken,
    listing: Listing<OrderFilters>,
) -> Result<Listed<OrderView>, Problem> {
    require(&caller, &state, customer)?;
    state.list.read(&listing, Some(customer), consistency).await
}

/// The caller is allowed `P` on that customer's orders; for anybody else the customer does not exist.
pub(crate) fn require<P: Permission>(
    caller: &Guarded<P>,
    state: &OrderRoutes,
    customer: UserId,
) -> Result<(), Problem> {
    let allowed = caller.may(&*state.policies, &orders_of(customer));
    allowed.map_err(|_| USER_NOT_FOUND.with("user_id", customer))
}
