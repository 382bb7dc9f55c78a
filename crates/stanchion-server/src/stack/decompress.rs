use std::convert::Infallible;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::CONTENT_ENCODING;
use tower::{Layer, ServiceExt};
use tower_http::decompression::RequestDecompressionLayer;

use super::once;

/// Undoes gzip while the body is read. Other encodings go through: described routes refuse them, somebody's own may
/// know them.
pub(crate) async fn decompress<F>(request: Request, next: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response> + Send,
{
    if !request.headers().contains_key(CONTENT_ENCODING) {
        return next(request).await;
    }
    let layer = RequestDecompressionLayer::new().gzip(true);
    let layer = layer.pass_through_unaccepted(true);
    let answer = once(|request: http::Request<_>| next(request.map(Body::new)));
    // In a box, as what seldom comes must not make every request's future large.
    let answered: Result<_, Infallible> = Box::pin(layer.layer(answer).oneshot(request)).await;
    match answered {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}
