//! Who is nearest to what fails tries again, and nobody above: of three tiers that try three times each, the last would be
//! called twenty-seven times.

use axum::response::Response;
use http::{HeaderName, HeaderValue};
use stanchion_resilience::retry;
use tonic::Code;

use crate::context::Context;
use crate::grpc;

const SHOULD_RETRY: HeaderName = HeaderName::from_static(retry::HEADER);
/// Less than nothing is never (gRFC A6).
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// Says so in the answer to a request that failed after a call it needed was tried again and given up.
pub(crate) fn tell(response: &mut Response, context: &Context) {
    if !context.has_given_up() {
        return;
    }
    let outcome = context
        .accept
        .grpc
        .then(|| grpc::outcome(response.headers()));
    let (name, never) = match outcome.flatten() {
        Some(Code::Ok) => return,
        Some(_) => (PUSHBACK, "-1"),
        None if response.status().is_server_error() => (SHOULD_RETRY, "false"),
        None => return,
    };
    let never = HeaderValue::from_static(never);
    response.headers_mut().insert(name, never);
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Request, StatusCode};
    use stanchion_resilience::origin::Origin;

    use super::*;
    use crate::context::Lent;
    use crate::present::Present;

    /// What is said in an answer of this status to a request with such a body.
    fn told(kind: &str, status: u16, code: Option<&str>, has_given_up: bool) -> Vec<String> {
        let request = Request::post("/").header("content-type", kind);
        let request = request.body(()).unwrap();
        let present = Present::of(request.headers());
        let context = Context::new("r-1".into(), &request, Lent::alone(), None, present);
        if has_given_up {
            Origin::gave_up(&context);
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        if let Some(code) = code {
            let code = code.parse().unwrap();
            response.headers_mut().insert("grpc-status", code);
        }
        tell(&mut response, &context);
        let said = [SHOULD_RETRY, PUSHBACK].into_iter().filter_map(|name| {
            let value = response.headers().get(&name)?;
            Some(format!("{name}: {}", value.to_str().unwrap()))
        });
        said.collect()
    }

    #[test]
    fn only_what_failed_after_it_was_tried_again_says_so() {
        let (rest, call) = ("application/json", "application/grpc");
        let (no, pushed) = ("x-should-retry: false", "grpc-retry-pushback-ms: -1");
        for (kind, status, code, expected) in [
            (rest, 503, None, vec![no]),
            (rest, 500, None, vec![no]),
            (rest, 404, None, vec![]),
            // It went on without what was given up.
            (rest, 200, None, vec![]),
            (call, 200, Some("14"), vec![pushed]),
            (call, 200, Some("0"), vec![]),
            (call, 200, None, vec![]),
        ] {
            let said = told(kind, status, code, true);
            assert_eq!(said, expected, "{kind} {status} {code:?}");
            assert!(told(kind, status, code, false).is_empty());
        }
    }
}
