//! What every request passes before its route, outermost first.

mod cors;
mod identify;
mod limits;
mod linger;
mod observe;
mod panics;
mod security;

pub(crate) use identify::InFlight;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::decompression::RequestDecompressionLayer;

use crate::admission::count_address;
use crate::context::Lent;
use crate::metrics::ServerMetrics;
use crate::service::{Network, ServerSettings};

/// Answers smaller than this are not worth compressing, in bytes.
const COMPRESSED_BYTES_MIN: u16 = 1024;

/// What the layers share.
#[derive(Clone)]
pub(crate) struct Stack {
    pub(crate) lent: Arc<Lent>,
    pub(crate) in_flight: InFlight,
    pub(crate) trusted: Arc<Vec<Network>>,
    pub(crate) metrics: ServerMetrics,
}

/// Puts the stack around a router. Header timeouts and connection limits stand outside of it, in `net`; admission stands
/// within, at each route, where the priority is known and the body is not read yet.
pub(crate) fn around(router: Router, stack: &Stack, settings: &ServerSettings) -> Router {
    let router = router
        // Bodies arrive decompressed, so that every limit below counts what they really are. Other
        // encodings than gzip go through: described routes refuse them, somebody's own may know them.
        .layer(
            RequestDecompressionLayer::new()
                .gzip(true)
                .pass_through_unaccepted(true),
        )
        // A path or a head that is too large is refused in our own words.
        .layer(from_fn(limits::check))
        // A panic costs its own request a 500, and nobody else anything.
        .layer(from_fn_with_state(stack.clone(), panics::guard))
        // Compressed outside of the guard: what it answers is compressed as well.
        .layer(
            CompressionLayer::new().compress_when(
                SizeAbove::new(COMPRESSED_BYTES_MIN)
                    .and(NotForContentType::GRPC)
                    .and(NotForContentType::IMAGES)
                    .and(NotForContentType::SSE),
            ),
        );
    // Who asks too often is refused before anything is done; off unless switched on.
    let admission = &stack.lent.admission;
    let router = if admission.counts_addresses() {
        router.layer(from_fn_with_state(Arc::clone(admission), count_address))
    } else {
        router
    };
    // A preflight asks before any work; it is answered here.
    let router = match cors::layer(&settings.cors) {
        Some(layer) => router.layer(layer),
        None => router,
    };
    router
        // Headers that keep browsers from harm, on every answer, errors included.
        .layer(from_fn_with_state(
            settings.behind_proxy || settings.tls.is_on(),
            security::headers,
        ))
        // Metrics and the log line see the final answer.
        .layer(from_fn_with_state(stack.clone(), observe::observe))
        // Who still sends a body when the answer is known must be able to read it.
        .layer(from_fn(linger::linger))
        // The request's id and trace come first: everything above logs under them.
        .layer(from_fn_with_state(stack.clone(), identify::identify))
}
