//! Heads that may mean two things: somebody in between may read another request than we do.

use http::Request;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use hyper::body::Incoming;

use super::activity::Activity;
use crate::present::{Present, Sought};

/// What a head of HTTP/1.1 says of the length of its body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    One,
    /// It is chunked, and some of its head came with what was before: what else it said is not known.
    Doubtful,
    /// Nobody in between has to read it as we do.
    Two,
}

/// RFC 9112, 6.1: who says a length and that it is chunked as well may mean another request for somebody in between.
pub(super) fn length(request: &Request<Incoming>, present: Present, activity: &Activity) -> Length {
    let headers = request.headers();
    if !present.has(Sought::TransferEncoding) {
        return Length::One;
    }
    if !is_plainly_chunked(headers) {
        return Length::Two;
    }
    // Hyper leaves out the length that comes second.
    match activity.head_names("content-length:", request) {
        _ if headers.contains_key(CONTENT_LENGTH) => Length::Two,
        Some(true) => Length::Two,
        Some(false) => Length::One,
        None => Length::Doubtful,
    }
}

/// Hyper looks at the last coding alone: what is chunked twice, or was something else before, it reads as chunked once
/// (RFC 9112, 6.1 and 7: nobody may send the first, and we know none of the second).
fn is_plainly_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| {
        let coding = coding.as_bytes().trim_ascii();
        coding.eq_ignore_ascii_case(b"chunked")
    };
    codings.next().is_some_and(is_chunked) && codings.next().is_none()
}

/// What a head says of whom it is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hosts {
    None,
    One,
    Two,
}

/// Two if there are two headers, or the target names another host: somebody in between may have believed the other.
pub(super) fn hosts(request: &Request<Incoming>, present: Present) -> Hosts {
    if !present.has(Sought::Host) {
        return Hosts::None;
    }
    let differs = request.uri().authority().is_some_and(|named| {
        let header = request.headers().get(HOST);
        let header = header.map_or(&b""[..], HeaderValue::as_bytes);
        !named.as_str().as_bytes().eq_ignore_ascii_case(header)
    });
    if differs || present.has(Sought::AnotherHost) {
        Hosts::Two
    } else {
        Hosts::One
    }
}
