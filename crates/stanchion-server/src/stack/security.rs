use axum::response::Response;
use http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};

use crate::grpc;

/// An API's answers are no pages: nothing may be loaded, framed or submitted.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];
/// A year.
const TLS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// Adds what browsers are told; a page's own policy is left alone. What answers a gRPC call in its own words has none of it:
/// no browser shows it, and each call would pay.
pub(crate) fn add(response: &mut Response, is_call: bool, behind_tls: bool) {
    if is_call && grpc::is_grpc(response.headers()) {
        return;
    }
    let headers = response.headers_mut();
    // One more for the request's id.
    headers.reserve(HEADERS.len() + 1);
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    if behind_tls {
        headers.entry(STRICT_TRANSPORT_SECURITY).or_insert(TLS_ONLY);
    }
}
