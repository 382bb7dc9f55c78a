use std::convert::Infallible;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use http::{HeaderName, HeaderValue, Method};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::service::CorsSettings;

/// How long a browser may keep a preflight's answer.
const PREFLIGHT_KEPT: Duration = Duration::from_secs(600);

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// What the conventions let a client send.
const HEADERS: [&str; 11] = [
    "authorization",
    "content-type",
    "accept",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "prefer",
    "consistency-token",
    "x-request-id",
    "x-request-timeout",
    crate::admission::HEADER,
];

/// What they let a client read.
const EXPOSED: [&str; 6] = [
    "etag",
    "location",
    "x-request-id",
    "retry-after",
    "idempotent-replayed",
    "preference-applied",
];

/// Answers preflights, and tells browsers which pages may read the answers to others.
pub(crate) async fn share<F>(
    layer: &CorsLayer,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    let mut next = Some(next);
    let answer = service_fn(move |request| {
        let answer = next.take().map(|next| next(request));
        async move {
            Ok::<_, Infallible>(match answer {
                Some(answer) => answer.await,
                // It is asked once.
                None => Response::default(),
            })
        }
    });
    match layer.layer(answer).oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The layer for these settings; none keeps browsers of other origins out.
pub(crate) fn layer(settings: &CorsSettings) -> Option<CorsLayer> {
    if settings.origins.is_empty() {
        return None;
    }
    let origins = if settings.origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(
            settings
                .origins
                .iter()
                .filter_map(|origin| HeaderValue::from_str(origin).ok()),
        )
    };
    let methods = given_or(&settings.methods, &METHODS);
    let headers = given_or(&settings.headers, &HEADERS);
    let methods: Vec<Method> = methods
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect();
    let headers: Vec<HeaderName> = headers
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect();
    Some(
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods(methods)
            .allow_headers(headers)
            .expose_headers(EXPOSED.map(HeaderName::from_static))
            .max_age(PREFLIGHT_KEPT),
    )
}

fn given_or(given: &[String], usual: &[&str]) -> Vec<String> {
    if given.is_empty() {
        usual.iter().map(|name| (*name).to_owned()).collect()
    } else {
        given.to_vec()
    }
}
