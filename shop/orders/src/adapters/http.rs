//! REST: a file a resource.

pub(crate) mod order;
pub(crate) mod order_events;
pub(crate) mod orders;
mod problem;
pub(crate) mod user_orders;

use std::sync::Arc;

use stanchion::auth::{Policies, Principal};
use stanchion::messaging::Metadata;
use stanchion::server::Routes;

use crate::adapters::projections::order_summaries::OrderList;
use crate::application::Orders;

/// What the routes work with.
#[derive(Clone)]
pub(crate) struct OrderRoutes {
    pub(crate) orders: Orders,
    pub(crate) list: Arc<OrderList>,
    /// Whose order it is, and what follows from that.
    pub(crate) policies: Arc<dyn Policies>,
}

/// Every route of orders.
pub(crate) fn routes(state: OrderRoutes) -> Routes {
    orders::routes()
        .and(order::routes())
        .and(order_events::routes())
        .and(user_orders::routes())
        .with_state(state)
}

fn caused_by(caller: &Principal) -> Metadata {
    Metadata::new(Some(caller.subject.to_string()))
}
