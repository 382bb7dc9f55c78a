use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::response::sse::{self, KeepAlive};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http_body::Body as _;
use serde::Serialize;
use stanchion_runtime::random::jitter;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::lasting::lasting;
use super::{Outcome, Reply};
use crate::context::Context;
use crate::describe::{Description, ReplyShape};
use crate::envelope::Rendered;
use crate::{Problem, codes};

/// How often a quiet stream says that it is alive; proxies cut what is silent for longer.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Server-sent events, `data` of each a `T` as JSON.
///
/// The stream has a heartbeat, holds no admission permit, and ends when the service stops, the caller's token does or it has
/// lasted for `server.event_stream_timeout`: the client comes back with `Last-Event-ID`. How many are open is bounded.
pub struct Events<T> {
    events: Pin<Box<dyn Stream<Item = Event<T>> + Send>>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<T> {
    /// What a client sends as `Last-Event-ID` when it comes back.
    pub id: String,
    /// The event's type.
    pub kind: String,
    /// Its content.
    pub data: T,
}

impl<T> Events<T> {
    /// The events of this stream, until it ends.
    pub fn new(events: impl Stream<Item = Event<T>> + Send + 'static) -> Self {
        Self {
            events: Box::pin(events),
        }
    }
}

impl<T> fmt::Debug for Events<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events(…)")
    }
}

impl<T: Serialize + ToSchema + Send + 'static> Reply for Events<T> {
    fn describe(description: &mut Description) {
        description.reply = ReplyShape::Events(description.schemas.of::<T>());
    }

    fn into_outcome(self) -> Outcome {
        let Some(context) = Context::current() else {
            return Outcome::Problem(Problem::internal("events outside a request"));
        };
        let Some(waiting) = context.begin_waiting() else {
            return Outcome::Problem(codes::OVERLOADED.problem());
        };
        let events = self.events.map(move |event| {
            // The place is held as long as the stream is.
            let _waiting = &waiting;
            Ok::<_, Infallible>(rendered(&event))
        });
        let events = lasting(events, ended(&context));
        let keep_alive = KeepAlive::new().interval(HEARTBEAT).text("alive");
        let mut response = sse::Sse::new(events).keep_alive(keep_alive).into_response();
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.extensions_mut().insert(Rendered);
        Outcome::Raw(response)
    }
}

/// Somebody's own answer: if it is a stream of events it lasts as long as ours do.
pub(crate) fn lasting_events(response: Response, context: &Context) -> Response {
    // Most have a length, and are none.
    let is_stream = response.body().size_hint().exact().is_none();
    let kind = response.headers().get(CONTENT_TYPE);
    let is_events = |kind: &HeaderValue| kind.as_bytes().starts_with(b"text/event-stream");
    if !(is_stream && kind.is_some_and(is_events)) {
        return response;
    }
    response.map(|body| Body::from_stream(lasting(body.into_data_stream(), ended(context))))
}

/// Resolves when the service stops, the caller's token is over or the stream has lasted as long as it may; counted.
///
/// A client that hangs is told from one that reads by nothing before: its system confirms what is sent, its library
/// answers PING, and heartbeats take more than a day to fill a window. So who reads comes back, and who hangs does not.
fn ended(context: &Context) -> impl Future<Output = ()> + Send + use<> {
    let metrics = context.lent.metrics.clone();
    let stopped = context.stopping().clone().cancelled_owned();
    let longest = context.lent.event_stream_timeout;
    // Streams that began together, after a restart, do not all come back together.
    let lasts = longest - jitter(longest / 10);
    let expires_at = context
        .principal()
        .and_then(|principal| principal.expires_at);
    let left = expires_at.map(|end| end.duration_since(stanchion_runtime::clock::now()));
    let left = left.map(|left| Duration::try_from(left).unwrap_or_default());
    let (lasts, bound) = match left {
        Some(left) if left < lasts => (left, "token"),
        _ => (lasts, "timeout"),
    };
    async move {
        let stopped = timeout(lasts, stopped).await;
        metrics.events_cut(if stopped.is_ok() { "stop" } else { bound });
    }
}

fn rendered<T: Serialize>(event: &Event<T>) -> sse::Event {
    let one_line = |text: &str| text.replace(['\r', '\n', '\0'], " ");
    let framed = sse::Event::default()
        .id(one_line(&event.id))
        .event(one_line(&event.kind));
    match serde_json::to_string(&event.data) {
        Ok(data) => framed.data(data),
        Err(error) => {
            tracing::error!(%error, "an event does not serialise");
            framed.data("null")
        }
    }
}
