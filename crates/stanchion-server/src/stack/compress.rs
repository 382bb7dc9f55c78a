use std::convert::Infallible;
use std::future::ready;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::HeaderValue;
use http::header::ACCEPT_ENCODING;
use tower::{Layer, ServiceExt};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use super::once;

/// Answers smaller than this are not worth compressing, in bytes.
const COMPRESSED_BYTES_MIN: u16 = 1024;

/// Compresses an answer that is worth it, in the way the client likes best.
pub(crate) async fn compress<F>(request: Request, next: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let accepted = request.headers().get_all(ACCEPT_ENCODING).iter();
    let accepted: Vec<HeaderValue> = accepted.cloned().collect();
    let response = next(request).await;
    // Most are small: they do not pay for what it takes to choose.
    if !worth_it().should_compress(&response) {
        return response;
    }
    // In a box: the state of an encoder must not make every request's future large.
    Box::pin(compressed(accepted, response)).await
}

fn worth_it() -> impl Predicate {
    SizeAbove::new(COMPRESSED_BYTES_MIN)
        .and(NotForContentType::GRPC)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::SSE)
}

/// The layer's answer to a request that accepts these; it also says that answers differ by that.
async fn compressed(accepted: Vec<HeaderValue>, response: Response) -> Response {
    let mut request = http::Request::new(());
    for value in accepted {
        request.headers_mut().append(ACCEPT_ENCODING, value);
    }
    let answer = once(|_: http::Request<()>| ready(response));
    let layer = CompressionLayer::new().compress_when(worth_it());
    let answered: Result<_, Infallible> = layer.layer(answer).oneshot(request).await;
    match answered {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}
