//! What every request passes before its route, outermost first.

mod admission;
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
use tokio::sync::Semaphore;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::decompression::RequestDecompressionLayer;

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
    pub(crate) admission: Arc<Semaphore>,
    pub(crate) trusted: Arc<Vec<Network>>,
    pub(crate) metrics: ServerMetrics,
}

/// Puts the stack around a router. Header timeouts and connection limits stand outside of it, in `net`.
pub(crate) fn around(router: Router, stack: &Stack, settings: &ServerSettings) -> Router {
    let router = router
        // Bodies arrive decompressed, so that every limit below counts what they really are. Other
        // encodings than gzip go through: described routes refuse them, somebody's own may know them.
        .layer(
            RequestDecompressionLayer::new()
                .gzip(true)
                .pass_through_unaccepted(true),
        )
        // Shed before a body is read: refusing must be cheaper than serving.
        .layer(from_fn_with_state(stack.clone(), admission::admit))
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
