//! The one place where answers become bytes.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::Problem;
use crate::context::Context;

/// Marks a response whose body is already in our form.
#[derive(Clone, Copy)]
pub(crate) struct Rendered;

/// What every answer says about itself.
#[derive(Serialize)]
pub(crate) struct Meta {
    request_id: String,
    timestamp: jiff::Timestamp,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Serialize)]
struct Success<'a> {
    data: &'a RawValue,
    meta: Meta,
}

impl Meta {
    pub(crate) fn new(context: Option<&Context>, more: Map<String, Value>) -> Self {
        Self {
            request_id: context
                .map(|context| context.request_id().to_owned())
                .unwrap_or_default(),
            timestamp: stanchion_runtime::clock::now(),
            more,
        }
    }
}

/// `{"data": …, "meta": …}`.
pub(crate) fn success(
    status: StatusCode,
    data: &RawValue,
    more: Map<String, Value>,
    context: &Context,
) -> Response {
    let body = Success {
        data,
        meta: Meta::new(Some(context), more),
    };
    json_response(status, &body, "application/json")
}

/// `{"error": …, "meta": …}`, or RFC 9457 for whoever asked for it, or gRPC's form for a gRPC call.
pub(crate) fn problem(problem: &Problem, context: Option<&Context>) -> Response {
    if context.is_some_and(|context| context.accept.grpc) {
        return crate::grpc::rendered(problem);
    }
    let status = problem.status();
    let mut response = if context.is_some_and(|context| context.accept.problem) {
        json_response(
            status,
            &rfc9457(problem, context),
            "application/problem+json",
        )
    } else {
        json_response(status, &error(problem, context), "application/json")
    };
    response
        .headers_mut()
        .extend(problem.headers().iter().cloned());
    response
}

/// A problem outside of any request.
pub(crate) fn bytes(problem: &Problem) -> Vec<u8> {
    rendered(&error(problem, None))
}

fn error(problem: &Problem, context: Option<&Context>) -> Value {
    let mut error = json!({"code": problem.code(), "message": problem.text()});
    if !problem.details().is_empty() {
        error["details"] = Value::Object(problem.details().clone());
    }
    json!({"error": error, "meta": Meta::new(context, Map::new())})
}

fn rfc9457(problem: &Problem, context: Option<&Context>) -> Value {
    let mut body = json!({
        "type": "about:blank",
        "title": problem.status().canonical_reason().unwrap_or("Error"),
        "status": problem.status().as_u16(),
        "detail": problem.text(),
        "code": problem.code(),
        "meta": Meta::new(context, Map::new()),
    });
    if !problem.details().is_empty() {
        body["details"] = Value::Object(problem.details().clone());
    }
    body
}

fn json_response(
    status: StatusCode,
    body: &impl Serialize,
    content_type: &'static str,
) -> Response {
    let mut response = Response::new(Body::from(rendered(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.extensions_mut().insert(Rendered);
    response
}

fn rendered(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_else(|_| b"{}".to_vec())
}
