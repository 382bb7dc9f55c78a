use std::convert::Infallible;
use std::future::ready;
use std::mem::take;

use axum::body::Body;
use axum::extract::Request;
use http::Response;
use parking_lot::Mutex;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::decompression::RequestDecompressionLayer;

/// Undoes gzip while the body is read. Other encodings go through: described routes refuse them, somebody's own may
/// know them.
pub(crate) async fn decompress(request: &mut Request) {
    *request = through_layer(take(request)).await;
}

/// What the layer makes of the request for whatever it stands around.
async fn through_layer(request: Request) -> Request {
    let made = Mutex::new(Request::default());
    let inner = service_fn(|request: http::Request<_>| {
        *made.lock() = request.map(Body::new);
        ready(Ok::<_, Infallible>(Response::new(Body::empty())))
    });
    let layer = RequestDecompressionLayer::new().gzip(true);
    let layer = layer.pass_through_unaccepted(true);
    // Its answer is none: the request was what it was asked for.
    let _answered = layer.layer(inner).oneshot(request).await;
    made.into_inner()
}
