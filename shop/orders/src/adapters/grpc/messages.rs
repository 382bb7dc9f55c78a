//! Views as messages of `order.v1`, and what lists are asked for.

use shop_contracts::grpc::order::v1 as pb;
use shop_contracts::grpc::{instant, timestamp};
use stanchion::server::{Listed, Problem};

use crate::adapters::http::order::{ItemView, OrderView, Reason};
use crate::adapters::http::order_events::{EventView, PlacedView};
use crate::domain::order::Status;

/// What a list is asked for, as REST's query has it.
pub(super) fn parameters(
    asked: pb::ListOrdersRequest,
) -> Result<[(&'static str, Option<String>); 8], Problem> {
    Ok([
        ("page", asked.page.map(|page| page.to_string())),
        ("limit", asked.limit.map(|limit| limit.to_string())),
        ("sort", asked.sort),
        ("order", asked.order),
        ("cursor", asked.cursor),
        ("status", status(asked.status)?),
        ("placed_after", time("placed_after", asked.placed_after)?),
        ("placed_before", time("placed_before", asked.placed_before)?),
    ])
}

fn status(status: i32) -> Result<Option<String>, Problem> {
    let known = match pb::OrderStatus::try_from(status) {
        Ok(pb::OrderStatus::Unspecified) => return Ok(None),
        Ok(pb::OrderStatus::Pending) => Status::Pending,
        Ok(pb::OrderStatus::Confirmed) => Status::Confirmed,
        Ok(pb::OrderStatus::Rejected) => Status::Rejected,
        Ok(pb::OrderStatus::Cancelled) => Status::Cancelled,
        Err(_) => {
            return Err(Problem::invalid_parameter(
                "status",
                "is not a known status",
            ));
        }
    };
    Ok(Some(known.as_str().to_owned()))
}

fn time(name: &str, at: Option<prost_types::Timestamp>) -> Result<Option<String>, Problem> {
    let Some(at) = at else { return Ok(None) };
    let at = instant(at).ok_or_else(|| Problem::invalid_parameter(name, "is no time"))?;
    Ok(Some(at.to_string()))
}

pub(super) fn listed(listed: Listed<OrderView>) -> pb::ListOrdersResponse {
    let (orders, page) = listed.into_parts();
    pb::ListOrdersResponse {
        orders: orders.into_iter().map(Into::into).collect(),
        page: page.page,
        limit: page.limit,
        total: page.total,
        total_pages: page.total_pages,
        next_cursor: page.next_cursor,
    }
}

impl From<OrderView> for pb::Order {
    fn from(order: OrderView) -> Self {
        Self {
            id: order.id.to_string(),
            customer_id: order.customer_id.to_string(),
            status: pb::OrderStatus::from(order.status).into(),
            reason: reason(order.reason),
            items: order.items.into_iter().map(Into::into).collect(),
            total: Some(order.total.into()),
            payment_id: order.payment_id.map(|id| id.to_string()),
            version: order.version,
            placed_at: Some(timestamp(order.placed_at)),
            settled_at: order.settled_at.map(timestamp),
        }
    }
}

impl From<ItemView> for pb::OrderItem {
    fn from(item: ItemView) -> Self {
        Self {
            sku: item.sku.to_string(),
            name: item.name,
            quantity: item.quantity,
            unit_price: Some(item.unit_price.into()),
            total: Some(item.total.into()),
        }
    }
}

impl From<EventView> for pb::OrderEvent {
    fn from(event: EventView) -> Self {
        Self {
            version: event.version,
            r#type: event.kind,
            at: Some(timestamp(event.at)),
            status: pb::OrderStatus::from(event.data.status).into(),
            reason: reason(event.data.reason),
            placed: event.data.placed.map(Into::into),
        }
    }
}

impl From<PlacedView> for pb::PlacedOrder {
    fn from(placed: PlacedView) -> Self {
        Self {
            customer_id: placed.customer_id.to_string(),
            payment_id: placed.payment_id.to_string(),
            items: placed.items.into_iter().map(Into::into).collect(),
            total: Some(placed.total.into()),
        }
    }
}

impl From<Status> for pb::OrderStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Confirmed => Self::Confirmed,
            Status::Rejected => Self::Rejected,
            Status::Cancelled => Self::Cancelled,
        }
    }
}

fn reason(reason: Option<Reason>) -> i32 {
    use pb::RejectionReason as R;
    let reason = reason.map(|reason| match reason {
        Reason::OutOfStock => R::OutOfStock,
        Reason::PaymentDeclined => R::PaymentDeclined,
        Reason::UnknownProduct => R::UnknownProduct,
        Reason::TimedOut => R::TimedOut,
    });
    reason.unwrap_or_default().into()
}
