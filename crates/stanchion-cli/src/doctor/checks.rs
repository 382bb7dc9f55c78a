//! The points that are answered at once, a function each.

mod answers;
mod headers;
mod health;
mod metrics;

use super::http::Target;
use super::{Asked, Point};

/// Nobody serves this.
const NOWHERE: &str = "/stanchion-doctor-asks-for-nothing-that-is-there";

pub(super) fn all(public: &Target, admin: &Target, asked: &Asked) -> Vec<Point> {
    vec![
        health::liveness(public, admin),
        health::readiness(public, admin),
        metrics::metrics(admin, &asked.metrics),
        metrics::metrics_private(public, admin),
        headers::security_headers(public, asked),
        headers::cors(public, asked),
        headers::tls(public),
        answers::error_shape(public),
        headers::server_told(public),
        headers::request_id(public, asked),
        answers::bad_request(public),
        answers::openapi(public),
        answers::rate_limit(public, asked),
    ]
}
