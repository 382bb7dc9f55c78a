//! What every request passes before its route, outermost first.

mod compress;
mod cors;
mod decompress;
mod identify;
mod limits;
mod linger;
mod observe;
mod panics;
mod security;

pub(crate) use identify::InFlight;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use tower::{Service, service_fn};
use tower_http::cors::CorsLayer;

use crate::admission::count_address;
use crate::context::Lent;
use crate::metrics::ServerMetrics;
use crate::service::{Network, Routed, ServerSettings};

/// What the layers share.
#[derive(Clone)]
pub(crate) struct Stack {
    pub(crate) lent: Arc<Lent>,
    pub(crate) in_flight: InFlight,
    pub(crate) trusted: Arc<Vec<Network>>,
    pub(crate) metrics: ServerMetrics,
}

/// All routes with the stack around them.
///
/// One function and one allocation a request: as layers of axum's, each of these would clone all that is within it and
/// put its future in a box of its own.
#[derive(Clone)]
pub(crate) struct Around(Arc<Parts>);

struct Parts {
    stack: Stack,
    cors: Option<CorsLayer>,
    behind_tls: bool,
    routed: Routed,
}

/// Puts the stack around routes. Header timeouts and connection limits stand outside of it, in `net`; admission stands
/// within, at each route, where the priority is known and the body is not read yet.
pub(crate) fn around(routed: Routed, stack: &Stack, settings: &ServerSettings) -> Around {
    Around(Arc::new(Parts {
        stack: stack.clone(),
        cors: cors::layer(&settings.cors),
        behind_tls: settings.behind_proxy || settings.tls.is_on(),
        routed,
    }))
}

impl Around {
    /// The answer to a request; the innermost layer stands first.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        let parts = &*self.0;
        let stack = &parts.stack;
        let routed = |request| parts.routed.answer(request);
        // Bodies arrive decompressed, so that every limit within counts what they really are.
        let decompressed = |request| decompress::decompress(request, routed);
        // A path or a head that is too large is refused in our own words.
        let checked = |request| limits::check(request, decompressed);
        // A panic costs its own request a 500, and nobody else anything.
        let guarded = |request| panics::guard(stack, request, checked);
        // Compressed outside of the guard: what it answers is compressed as well.
        let compressed = |request| compress::compress(request, guarded);
        // Who asks too often is refused before anything is done; off unless switched on.
        let counted = |request| count_address(&stack.lent.admission, request, compressed);
        // A preflight asks before any work; it is answered here.
        let shared = |request| cors::share(parts.cors.as_ref(), request, counted);
        // Headers that keep browsers from harm, on every answer, errors included.
        let secured = |request| security::headers(parts.behind_tls, request, shared);
        // Metrics and the log line see the final answer.
        let observed = |request| observe::observe(stack, request, secured);
        // Who still sends a body when the answer is known must be able to read it.
        let lingering = |request| linger::linger(request, observed);
        // The request's id and trace come first: everything above logs under them.
        identify::identify(stack, request, lingering).await
    }
}

/// What is asked once, as the service that a layer of somebody else's wants.
fn once<R, F>(
    answer: impl FnOnce(R) -> F,
) -> impl Service<R, Response = Response, Error = Infallible, Future: Send>
where
    F: Future<Output = Response> + Send,
{
    let mut answer = Some(answer);
    service_fn(move |request| {
        let answer = answer.take().map(|answer| answer(request));
        async move {
            Ok(match answer {
                Some(answer) => answer.await,
                None => Response::default(),
            })
        }
    })
}

impl Service<Request> for Around {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let around = self.clone();
        Box::pin(async move { Ok(around.answer(request).await) })
    }
}
