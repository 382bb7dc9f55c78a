//! `/orders/{id}/history` and `/orders/{id}/watch`: what happened to an order, and what happens.

use axum::extract::{FromRequestParts, State};
use futures_util::{Stream, StreamExt};
use http::request::Parts;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use shop_kernel::{Money, OrderId, PaymentId, UserId};
use stanchion::auth::Principal;
use stanchion::eventsourcing::{Recorded, UnknownEvent, Version};
use stanchion::server::{
    Describe, Description, Event, Events, Guarded, Listed, PathId, Problem, Routes, codes, op,
};
use utoipa::ToSchema;

use super::OrderRoutes;
use super::order::{ItemView, Reason, visible};
use super::problem::ORDER_NOT_FOUND;
use crate::adapters::guard::SeeOrders;
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
pub(crate) struct EventView {
    /// The order's version after it.
    pub(crate) version: i64,
    #[serde(rename = "type")]
    #[schema(example = "order_placed")]
    pub(crate) kind: String,
    pub(crate) at: Timestamp,
    /// The order's status after it, and what belongs to this type.
    #[schema(value_type = Object)]
    pub(crate) data: EventData,
}

/// What the caller may know of an event: everything but how the order is paid.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct EventData {
    pub(crate) status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Reason>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) placed: Option<PlacedView>,
}

/// What was placed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct PlacedView {
    pub(crate) customer_id: UserId,
    pub(crate) payment_id: PaymentId,
    pub(crate) items: Vec<ItemView>,
    pub(crate) total: Money,
}

/// The version that a returning client has seen, from `Last-Event-ID`.
struct LastSeen(Option<Version>);

async fn order_history(
    caller: Guarded<SeeOrders>,
    State(state): State<OrderRoutes>,
    PathId(order_id): PathId<OrderId>,
) -> Result<Listed<EventView>, Problem> {
    visible(&caller, &state, order_id).await?;
    let events = history(&state.orders, order_id, Version(0)).await;
    let views: Result<Vec<_>, _> = events?.iter().map(view).collect();
    Ok(Listed::whole(views.map_err(Problem::internal)?))
}

async fn order_watch(
    caller: Guarded<SeeOrders>,
    State(state): State<OrderRoutes>,
    PathId(order_id): PathId<OrderId>,
    LastSeen(seen): LastSeen,
) -> Result<Events<EventView>, Problem> {
    let watched = watched(&caller, state, order_id, seen).await?;
    let events = watched.events.map(|view| Event {
        id: view.version.to_string(),
        kind: view.kind.clone(),
        data: view,
    });
    Ok(Events::new(while_valid(events, &caller)))
}

/// What happens to an order, as it is told.
pub(crate) struct Watched<S> {
    /// It ends when nothing can happen any more, or when the log cannot be read.
    pub(crate) events: S,
    /// Whether nothing can happen from the start.
    pub(crate) over: bool,
}

/// What happened and happens to an order after the version that was `seen`, if the caller may see it.
pub(crate) async fn watched(
    caller: &Guarded<SeeOrders>,
    state: OrderRoutes,
    order_id: OrderId,
    seen: Option<Version>,
) -> Result<Watched<impl Stream<Item = EventView> + Send + use<>>, Problem> {
    let found = visible(caller, &state, order_id).await?;
    let from = seen.map_or(Version(0), |seen| Version(seen.0.saturating_add(1)));
    let over = found.order.status.is_final() && from > found.version;
    let events = watch_order(state.orders, order_id, from, over);
    let events = events.filter_map(|recorded| {
        let view = view(&recorded);
        if let Err(error) = &view {
            tracing::error!(%error, "an event of an order is not told");
        }
        std::future::ready(view.ok())
    });
    Ok(Watched { events, over })
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

fn view(recorded: &Recorded) -> Result<EventView, UnknownEvent> {
    let plain = |status| EventData {
        status,
        reason: None,
        placed: None,
    };
    let data = match recorded.decode::<OrderEvent>()? {
        OrderEvent::OrderPlaced {
            customer_id,
            payment_id,
            items,
            total,
            ..
        } => EventData {
            placed: Some(PlacedView {
                customer_id,
                payment_id,
                items: items.iter().map(ItemView::from).collect(),
                total,
            }),
            ..plain(Status::Pending)
        },
        OrderEvent::OrderConfirmed { .. } => plain(Status::Confirmed),
        OrderEvent::OrderRejected { reason, .. } => EventData {
            reason: Some(reason.into()),
            ..plain(Status::Rejected)
        },
        OrderEvent::OrderCancelled { .. } => plain(Status::Cancelled),
    };
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
