//! `/orders/{id}/history` and `/orders/{id}/watch`: what happened to an order, and what happens.

use axum::extract::{FromRequestParts, State};
use futures_util::{Stream, StreamExt};
use http::request::Parts;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use shop_kernel::OrderId;
use stanchion::auth::Principal;
use stanchion::eventsourcing::{Recorded, UnknownEvent, Version};
use stanchion::server::{
    Caller, Describe, Description, Event, Events, Listed, PathId, Problem, Routes, codes, op,
};
use utoipa::ToSchema;

use super::order::{ItemView, Reason, visible};
use super::problem::ORDER_NOT_FOUND;
use super::{OrderRoutes, SeeOrders};
use crate::application::read_order::history;
use crate::application::watch_order::watch_order;
use crate::domain::order::{OrderEvent, Status};

pub(super) fn routes() -> Routes<OrderRoutes> {
    let history = op("Tell an order's history", order_history)
        .about("What happened to the order, oldest first.")
        .errors(&[ORDER_NOT_FOUND]);
    let watch = op("Watch an order", order_watch)
        .about(
            "What happened and happens to the order, each event with its version as id. It ends \
             when nothing can happen any more, with the token, or when the service stops: come \
             back with `Last-Event-ID`.",
        )
        .errors(&[ORDER_NOT_FOUND]);
    Routes::new()
        .get("/orders/{id}/history", history)
        .get("/orders/{id}/watch", watch)
}

/// Something that happened to an order.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = OrderEvent)]
struct EventView {
    /// The order's version after it.
    version: i64,
    #[serde(rename = "type")]
    #[schema(example = "order_placed")]
    kind: String,
    at: Timestamp,
    /// The order's status after it, and what belongs to this type.
    #[schema(value_type = Object)]
    data: Value,
}

/// The version that a returning client has seen, from `Last-Event-ID`.
struct LastSeen(Option<Version>);

async fn order_history(
    caller: Caller,
    State(state): State<OrderRoutes>,
    PathId(order_id): PathId<OrderId>,
) -> Result<Listed<EventView>, Problem> {
    visible::<SeeOrders>(&caller, &state, order_id).await?;
    let events = history(&state.orders, order_id, Version(0)).await;
    let views: Result<Vec<_>, _> = events?.iter().map(view).collect();
    Ok(Listed::whole(views.map_err(Problem::internal)?))
}

async fn order_watch(
    caller: Caller,
    State(state): State<OrderRoutes>,
    PathId(order_id): PathId<OrderId>,
    LastSeen(seen): LastSeen,
) -> Result<Events<EventView>, Problem> {
    let found = visible::<SeeOrders>(&caller, &state, order_id).await?;
    let from = seen.map_or(Version(0), |seen| Version(seen.0.saturating_add(1)));
    let over = found.order.status.is_final() && from > found.version;
    let events = watch_order(state.orders, order_id, from, over).filter_map(|recorded| {
        let event = event(&recorded);
        if let Err(error) = &event {
            tracing::error!(%error, "an event of an order is not told");
        }
        std::future::ready(event.ok())
    });
    Ok(Events::new(while_valid(events, &caller)))
}

/// The stream until the caller's token ends.
fn while_valid<T>(
    events: impl Stream<Item = T> + Send + 'static,
    caller: &Principal,
) -> impl Stream<Item = T> + Send + 'static {
    let expires_at = caller.expires_at;
    events.take_until(async move {
        let Some(expires_at) = expires_at else {
            return std::future::pending().await;
        };
        let left = expires_at.duration_since(stanchion::runtime::clock::now());
        tokio::time::sleep(left.try_into().unwrap_or_default()).await;
    })
}

fn event(recorded: &Recorded) -> Result<Event<EventView>, UnknownEvent> {
    let view = view(recorded)?;
    Ok(Event {
        id: view.version.to_string(),
        kind: view.kind.clone(),
        data: view,
    })
}

/// What the caller may know of an event: everything but how the order is paid.
fn view(recorded: &Recorded) -> Result<EventView, UnknownEvent> {
    let (status, mut data) = match recorded.decode::<OrderEvent>()? {
        OrderEvent::OrderPlaced {
            customer_id,
            payment_id,
            items,
            total,
            ..
        } => {
            let items: Vec<ItemView> = items.iter().map(ItemView::from).collect();
            let data = json!({"customer_id": customer_id, "payment_id": payment_id, "items": items, "total": total});
            (Status::Pending, data)
        }
        OrderEvent::OrderConfirmed { .. } => (Status::Confirmed, json!({})),
        OrderEvent::OrderRejected { reason, .. } => {
            (Status::Rejected, json!({"reason": Reason::from(reason)}))
        }
        OrderEvent::OrderCancelled { .. } => (Status::Cancelled, json!({})),
    };
    data["status"] = status.as_str().into();
    Ok(EventView {
        version: recorded.version.0,
        kind: recorded.kind.clone(),
        at: recorded.at,
        data,
    })
}

impl<S: Sync> FromRequestParts<S> for LastSeen {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get("last-event-id") else {
            return Ok(Self(None));
        };
        let version = value.to_str().ok().and_then(seen);
        let version = version.ok_or_else(|| {
            Problem::invalid_parameter("Last-Event-ID", "must be the id of an event of this stream")
        })?;
        Ok(Self(Some(Version(version))))
    }
}

/// An id as [`event`] writes it.
fn seen(text: &str) -> Option<i64> {
    let version = text.parse::<i64>().ok().filter(|version| *version >= 0)?;
    (version.to_string() == text).then_some(version)
}

impl Describe for LastSeen {
    fn describe(description: &mut Description) {
        let about = "The id of the last event that was received: goes on after it.";
        let schema =
            json!({"type": "string", "pattern": "^(0|[1-9][0-9]{0,17})$", "examples": ["0"]});
        description.header("Last-Event-ID", false, about, schema);
        description.code(codes::INVALID_PARAMETER);
    }
}
