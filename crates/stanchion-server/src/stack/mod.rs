//! What every request passes before its route, outermost first.

mod compress;
mod cors;
mod decompress;
mod forwarded;
mod identify;
mod in_flight;
mod limits;
mod linger;
mod observe;
mod panics;
mod security;
mod tried;

pub(crate) use in_flight::{InFlight, Seat, Upgrading};
pub(crate) use limits::HEADERS_MAX;

use std::convert::Infallible;
use std::mem::take;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use futures_util::FutureExt;
use tower::Service;
use tower_http::cors::CorsLayer;

use self::identify::Identified;
use self::linger::Rest;
use self::observe::Watch;
use crate::admission::count_address;
use crate::context::{self, Lent};
use crate::metrics::ServerMetrics;
use crate::present::{Present, Sought};
use crate::service::{ForwardedBy, Network, Routed, ServerSettings};

/// What the layers share.
#[derive(Clone)]
pub(crate) struct Stack {
    pub(crate) lent: Arc<Lent>,
    pub(crate) in_flight: InFlight,
    pub(crate) trusted: Arc<Vec<Network>>,
    pub(crate) forwarded_by: ForwardedBy,
    pub(crate) metrics: ServerMetrics,
}

/// All routes with the stack around them.
///
/// Plain functions: as layers of axum's, each would clone all that is within it and put its future in a box of its own.
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
    /// The answer to a request: outermost what stands first here.
    ///
    /// The request is lent: whatever is handed to an async function is kept there twice, and all of a request's state is
    /// copied when the request begins.
    pub(crate) async fn answer(&self, request: &mut Request, present: Present) -> Response {
        // The request's id and trace come first: everything within logs under them.
        let identified = Identified::of(&self.0.stack, request, present);
        // Pinned where it is made, for the same reason.
        let response = {
            let work = pin!(Some(self.0.watched(request, &identified)));
            identified.within(work).await
        };
        identified.answered(response)
    }
}

impl Parts {
    async fn watched(&self, request: &mut Request, identified: &Identified) -> Response {
        let context = identified.context();
        // Who still sends a body when the answer is known must be able to read it.
        let rest = Rest::of(request, context.present);
        // Metrics and the log line see the final answer.
        let watch = Watch::of(&self.stack.in_flight, identified, request);
        // A preflight asks before any work; it is answered here.
        let mut response = match &self.cors {
            Some(layer) => {
                let guarded =
                    |mut request| async move { self.guarded(&mut request, context).await };
                // In a box: it must not make the future of every request large.
                Box::pin(cors::share(layer, take(request), guarded)).await
            }
            None => self.guarded(request, context).await,
        };
        // Headers that keep browsers from harm, on every answer that one may see, errors included.
        security::add(&mut response, context.accept.grpc, self.behind_tls);
        // What was tried again already is not tried again by whoever calls us.
        tried::tell(&mut response, context);
        let response = watch.answered(response);
        // Whoever refused has not taken the body, and only who gives it up lets it be read to its end.
        drop(take(request.body_mut()));
        rest.discard(response.status()).await;
        response
    }

    async fn guarded(&self, request: &mut Request, context: &Arc<context::Context>) -> Response {
        // Who asks too often is refused before anything is done; off unless switched on.
        let admission = &self.stack.lent.admission;
        if admission.counts_addresses() {
            // In a box: where it is off no request's future is larger for it.
            let counted = Box::pin(count_address(admission, request));
            if let Some(refused) = counted.await {
                return refused;
            }
        }
        // Compressed outside of the guard: what it answers is compressed as well.
        let accepted = compress::accepted(request, context.present);
        // A panic costs its own request a 500, and nobody else anything.
        let answer = AssertUnwindSafe(self.checked(request, context))
            .catch_unwind()
            .await;
        let response = answer.unwrap_or_else(|panic| panics::answer(&self.stack, &*panic));
        if !compress::is_worth_it(&response) {
            return response;
        }
        // In a box: the state of an encoder must not make every request's future large.
        Box::pin(compress::compress(accepted, response)).await
    }

    async fn checked(&self, request: &mut Request, context: &Arc<context::Context>) -> Response {
        let present = context.present;
        // A path or a head that is too large is refused in our own words.
        if let Some(refused) = limits::refused(request, present) {
            return refused;
        }
        // Bodies arrive decompressed, so that every limit within counts what they really are.
        if present.has(Sought::ContentEncoding) {
            // In a box: what seldom comes must not make every request's future large.
            Box::pin(decompress::decompress(request)).await;
        }
        self.routed.answer(request, context).await
    }
}

impl Service<Request> for Around {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let around = self.clone();
        let present = Present::of(request.headers());
        Box::pin(async move { Ok(around.answer(&mut request, present).await) })
    }
}
