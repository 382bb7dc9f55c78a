use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use stanchion_runtime::{clock, random};
use stanchion_telemetry::trace::{self, First, Place, Tells};

use super::in_flight::{Entered, Upgrading};
use super::{Stack, forwarded};
use crate::context::Context;
use crate::net::peer;
use crate::present::{Present, Sought};
use crate::request_id::{REQUEST_ID_CHARS_MAX, RequestId};
use crate::service::{ForwardedBy, Network};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Proxies believed in a row.
const HOPS_MAX: usize = 16;

/// A request with its id, trace and context, in the table of those that are served.
pub(crate) struct Identified {
    entered: Entered,
    first: First,
}

impl Identified {
    /// Gives the request what it is known by.
    pub(crate) fn of(stack: &Stack, request: &mut Request, present: Present) -> Self {
        let given = present.has(Sought::RequestId).then(|| request.headers());
        let id = given.and_then(request_id).unwrap_or_else(new_id);
        let remote = remote(request, &stack.trusted, stack.forwarded_by);
        let context = Context::new(id, request, stack.lent.clone(), remote, present);
        let context = Arc::new(context);
        let first = first(request, &context);
        request.extensions_mut().insert(context.clone());
        let entered = stack.in_flight.enter(context);
        Self { entered, first }
    }

    /// The request's span.
    pub(crate) fn first(&self) -> &First {
        &self.first
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        self.entered.context()
    }

    /// Runs the work as part of the request, and drops it so when it is over.
    pub(crate) fn within<'w, F: Future>(&'w self, work: Pin<&'w mut Option<F>>) -> Within<'w, F> {
        Within {
            first: &self.first,
            context: self.context(),
            work,
        }
    }

    /// The answer with the request's id; the request is in the table until it is sent.
    pub(crate) fn answered(self, mut response: Response) -> Response {
        let context = self.context();
        if let Ok(mut id) = HeaderValue::from_str(&context.request_id) {
            // It never comes again: it must not drive others out of HTTP/2's table of headers.
            id.set_sensitive(true);
            response.headers_mut().insert(REQUEST_ID, id);
        }
        if context.ends_by_itself.load(Ordering::Relaxed) {
            self.entered.stay();
            return response;
        }
        if self.is_upgrade(response.status()) {
            let counting = context.lent.metrics.upgraded();
            let upgrading = Upgrading::of(self.entered, counting);
            response.extensions_mut().insert(upgrading);
            return response;
        }
        let _entered = self.entered;
        response.map(|body| Body::new(Tracked { body, _entered }))
    }

    /// Whether what follows on the connection is no HTTP.
    fn is_upgrade(&self, status: StatusCode) -> bool {
        let is_tunnel = self.context().method == Method::CONNECT && status.is_success();
        is_tunnel || status == StatusCode::SWITCHING_PROTOCOLS
    }
}

/// Work as part of a request: in its span, with its context. Neither is entered once more when work that has ended is
/// dropped.
pub(crate) struct Within<'w, F> {
    first: &'w First,
    context: &'w Arc<Context>,
    work: Pin<&'w mut Option<F>>,
}

impl<F: Future> Future for Within<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> task::Poll<F::Output> {
        let Self {
            first,
            context: of,
            work,
        } = &mut *self;
        let poll = || {
            let Some(running) = work.as_mut().as_pin_mut() else {
                // Nobody polls what has ended.
                return task::Poll::Pending;
            };
            let polled = running.poll(context);
            if polled.is_ready() {
                work.set(None);
            }
            polled
        };
        first.in_scope(|| of.enter(poll))
    }
}

impl<F> Drop for Within<'_, F> {
    fn drop(&mut self) {
        if self.work.is_some() {
            let Self {
                first,
                context,
                work,
            } = self;
            first.in_scope(|| context.enter(|| work.set(None)));
        }
    }
}

/// The span, which is not made before somebody needs it unless the trace is recorded.
fn first(request: &Request, context: &Arc<Context>) -> First {
    static PLACE: Place = Place::new();
    let is_continued = context.present.has(Sought::Traceparent);
    let parent = is_continued.then(|| trace::extract(request.headers()));
    let parent = parent.flatten();
    trace::first(&PLACE, parent.as_ref(), context, || {
        tracing::info_span!(
            "http.request",
            otel.kind = "server",
            request_id = context.request_id(),
            http.request.method = request.method().as_str(),
            http.route = tracing::field::Empty,
            http.response.status_code = tracing::field::Empty,
        )
    })
}

impl Tells for Context {
    fn tell(&self, field: &mut dyn FnMut(&'static str, &str)) {
        field("request_id", &self.request_id);
    }
}

/// Taken over if it is one we would have made or could have: 1 to 64 of `[A-Za-z0-9._-]`.
fn request_id(headers: &HeaderMap) -> Option<RequestId> {
    let fits = |id: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=REQUEST_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(plain)
    };
    let id = headers.get(REQUEST_ID)?.to_str().ok();
    id.filter(fits).map(RequestId::from)
}

/// A UUID of version 7 (RFC 9562, 5.7): milliseconds, then chance. Ids of one millisecond need no order, and nobody waits
/// for somebody else's.
fn new_id() -> RequestId {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let [_, _, time @ ..] = clock::now().as_millisecond().to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&time);
    bytes[6..].copy_from_slice(&random::bytes::<10>());
    bytes[6] = 0x70 | bytes[6] & 0x0f;
    bytes[8] = 0x80 | bytes[8] & 0x3f;
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (index, byte) in bytes.into_iter().enumerate() {
        // A hyphen stands before these.
        at += usize::from(matches!(index, 4 | 6 | 8 | 10));
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 15)];
        at += 2;
    }
    // They are digits and hyphens all.
    RequestId::from(std::str::from_utf8(&text).unwrap_or_default())
}

/// The client's address: the peer's, or what proxies that we trust say of it.
fn remote(request: &Request, trusted: &[Network], by: ForwardedBy) -> Option<IpAddr> {
    let mut address = peer(request.extensions())?.ip();
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(address) {
        return Some(address);
    }
    for hop in forwarded::hops(request.headers(), by).take(HOPS_MAX) {
        // Nearest first: whoever is not trusted may have written all that stands before.
        let Some(before) = hop else { break };
        address = before;
        if !is_trusted(address) {
            break;
        }
    }
    Some(address)
}

/// A body that keeps its request in the table until it is sent.
struct Tracked {
    body: Body,
    _entered: Entered,
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> task::Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;

    use super::*;

    #[test]
    fn a_request_id_is_taken_over_only_if_it_is_harmless() {
        for (given, taken) in [
            ("a-1._B", true),
            ("", false),
            ("a b", false),
            ("a\"b", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, given.parse().unwrap());
            assert_eq!(request_id(&headers).is_some(), taken, "{given:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, "x".repeat(65).parse().unwrap());
        assert_eq!(request_id(&headers), None);
    }

    #[test]
    fn an_id_of_our_own_is_a_uuid_of_its_time() {
        let before = clock::now().as_millisecond();
        let ids: Vec<_> = (0..1_000).map(|_| new_id()).collect();
        let after = clock::now().as_millisecond();
        for id in &ids {
            let bytes = id.as_bytes();
            let hyphens: Vec<_> = (0..36).filter(|at| bytes[*at] == b'-').collect();
            assert_eq!((bytes.len(), hyphens), (36, vec![8, 13, 18, 23]), "{id}");
            assert!(bytes[14] == b'7' && b"89ab".contains(&bytes[19]), "{id}");
            let millis = i64::from_str_radix(&id[..13].replace('-', ""), 16).unwrap();
            assert!((before..=after).contains(&millis), "{id}");
        }
        let different: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(different.len(), ids.len());
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted = [Network::parse("10.0.0.0/8").unwrap()];
        let cases = [
            ("203.0.113.9:1", "1.2.3.4", "203.0.113.9"),
            ("10.0.0.1:1", "1.2.3.4", "1.2.3.4"),
            ("10.0.0.1:1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
            ("10.0.0.1:1", "1.2.3.4, 10.0.0.2", "1.2.3.4"),
            ("10.0.0.1:1", "nonsense", "10.0.0.1"),
            ("10.0.0.1:1", "1.2.3.4, nonsense, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1:1", "1.2.3.4:56789", "1.2.3.4"),
            ("10.0.0.1:1", "[2001:db8::9]:443", "2001:db8::9"),
            ("10.0.0.1:1", "", "10.0.0.1"),
        ];
        for (peer, forwarded, expected) in cases {
            let mut request = Request::new(Body::empty());
            let peer: SocketAddr = peer.parse().unwrap();
            request.extensions_mut().insert(ConnectInfo(peer));
            request
                .headers_mut()
                .insert("x-forwarded-for", forwarded.parse().unwrap());
            assert_eq!(
                remote(&request, &trusted, ForwardedBy::XForwardedFor),
                Some(expected.parse().unwrap()),
                "{forwarded}"
            );
        }
    }
}
