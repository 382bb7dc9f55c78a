//! Orders as policies see them.

use std::sync::Arc;

use shop_kernel::{OrderId, UserId};
use stanchion::auth::permissions;
use stanchion::auth::policy::{Entity, Kind, Resource, Vocabulary};
use stanchion::eventsourcing::{EventLog, Repository};

use crate::domain::order::{Order, Placed, Status};

permissions! {
    /// See anybody's orders.
    pub(crate) SeeOrders = "order:read";
    /// Place and cancel anybody's orders.
    pub(crate) WriteOrders = "order:write";
}

/// The policies that orders comes with, in terms of its [`vocabulary`].
pub const POLICIES: &str = include_str!("../../policies.cedar");

/// What policies can say of orders: an `Order` has an owner, a status, a total in minor units and its currency, an
/// `OrderList` (all orders of a customer, also those to come) an owner.
#[must_use]
pub fn vocabulary() -> Vocabulary {
    let owner = || ("owner", Kind::entity("User"));
    Vocabulary::new()
        .resource(
            "Order",
            [
                owner(),
                ("status", Kind::Text),
                ("total", Kind::Number),
                ("currency", Kind::Text),
            ],
        )
        .resource("OrderList", [owner()])
        .action::<SeeOrders>(["Order", "OrderList"])
        .action::<WriteOrders>(["Order", "OrderList"])
}

/// An order as it is now.
pub(crate) fn guarded(order: &Order, placed: &Placed) -> Resource {
    let status = match order.status {
        Status::Pending => "pending",
        Status::Confirmed => "confirmed",
        Status::Rejected => "rejected",
        Status::Cancelled => "cancelled",
    };
    Resource::new("Order", placed.order_id)
        .with("owner", Entity::user(placed.customer_id.0))
        .with("status", status)
        .with("total", placed.total.amount)
        .with("currency", placed.total.currency.as_str())
}

/// The orders of a customer, as a whole.
pub(crate) fn orders_of(customer: UserId) -> Resource {
    Resource::new("OrderList", customer).with("owner", Entity::user(customer.0))
}

/// The order with that id as policies see it, read from its log; `None` if there is none. For an operator who wants to
/// know why somebody may or may not.
///
/// # Errors
/// The log cannot be read, or the id is none.
pub async fn guarded_order(log: Arc<dyn EventLog>, id: &str) -> Result<Option<Resource>, String> {
    let id: OrderId = id.parse().map_err(|error| format!("{error}"))?;
    let loaded = Repository::<Order>::new(log).load(&id.to_string()).await;
    let order = loaded.map_err(|error| error.to_string())?.state;
    let placed = order.placed.as_ref();
    Ok(placed.map(|placed| guarded(&order, placed)))
}

#[cfg(test)]
mod tests {
    use stanchion::auth::policy::PolicyFile;

    use super::*;

    #[test]
    fn the_policies_of_orders_pass_their_check() {
        let policies = PolicyFile::parse("policies.cedar", POLICIES, &vocabulary());
        assert_eq!(policies.unwrap().summaries().count(), 3);
    }
}
