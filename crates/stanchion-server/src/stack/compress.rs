use std::convert::Infallible;
use std::future::ready;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::HeaderValue;
use http::header::ACCEPT_ENCODING;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use crate::present::{Present, Sought};

/// Answers smaller than this are not worth compressing, in bytes.
const COMPRESSED_BYTES_MIN: u16 = 1024;

/// What the client takes.
pub(crate) fn accepted(request: &Request, present: Present) -> Vec<HeaderValue> {
    if !present.has(Sought::AcceptEncoding) {
        return Vec::new();
    }
    let accepted = request.headers().get_all(ACCEPT_ENCODING);
    accepted.iter().cloned().collect()
}

/// Whether an answer is worth compressing. Most are small: they do not pay for what it takes to choose.
pub(crate) fn is_worth_it(response: &Response) -> bool {
    worth_it().should_compress(response)
}

fn worth_it() -> impl Predicate {
    SizeAbove::new(COMPRESSED_BYTES_MIN)
        .and(NotForContentType::GRPC)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::SSE)
}

/// Compresses an answer that is worth it, in the way the client likes best: the layer's answer to a request that accepts
/// these; it also says that answers differ by that.
pub(crate) async fn compress(accepted: Vec<HeaderValue>, response: Response) -> Response {
    let mut request = http::Request::new(());
    for value in accepted {
        request.headers_mut().append(ACCEPT_ENCODING, value);
    }
    let mut response = Some(response);
    let answer = service_fn(move |_: http::Request<()>| {
        // It is asked once.
        ready(Ok::<_, Infallible>(response.take().unwrap_or_default()))
    });
    let layer = CompressionLayer::new().compress_when(worth_it());
    match layer.layer(answer).oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}
