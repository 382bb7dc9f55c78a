use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::Version;

use crate::codes;
use crate::net::peer;
use crate::present::{Present, Sought};

/// The longest path with query, in bytes.
const URI_BYTES_MAX: usize = 8 * 1024;
/// The most headers; hyper takes no more over HTTP/1.1 unless it is told otherwise.
pub(crate) const HEADERS_MAX: usize = 100;
/// All headers together, in bytes.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// Refuses a head that is larger than we take; hyper's own bounds stand behind these.
pub(crate) fn refused(request: &Request, present: Present) -> Option<Response> {
    if !names_its_host(request, present) {
        let reason = "a request of HTTP/1.1 has one Host header";
        return Some(codes::BAD_REQUEST.with("reason", reason).into_response());
    }
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > URI_BYTES_MAX {
        let problem = codes::URI_TOO_LONG.with("bytes_max", URI_BYTES_MAX);
        return Some(problem.into_response());
    }
    if request.headers().len() > HEADERS_MAX || present.bytes > HEADER_BYTES_MAX {
        return Some(codes::HEADERS_TOO_LARGE.problem().into_response());
    }
    None
}

/// RFC 9112, 3.2: none or several are refused, so that nobody in between reads another host than we do.
/// A call within the process has none.
fn names_its_host(request: &Request, present: Present) -> bool {
    let is_needed = request.version() == Version::HTTP_11;
    let is_missing = is_needed && !present.has(Sought::Host);
    let is_right = !is_missing && !present.has(Sought::AnotherHost);
    is_right || peer(request.extensions()).is_none()
}
