use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};

use super::Stack;
use crate::codes;
use crate::context::Context;

/// Paths that answer however much there is to do.
const ALWAYS: [&str; 2] = ["/health", "/ready"];

/// Lets a bounded number of requests be worked on; the others are told to come back.
pub(crate) async fn admit<F>(
    stack: &Stack,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    if ALWAYS.contains(&request.uri().path()) {
        return next(request).await;
    }
    let Ok(permit) = stack.admission.clone().try_acquire_owned() else {
        stack.metrics.shed("in_flight");
        return codes::OVERLOADED.problem().into_response();
    };
    let Some(context) = request.extensions().get::<Arc<Context>>().cloned() else {
        return next(request).await;
    };
    // Kept in the context, so that a request that waits can give it back early.
    *context.permit.lock() = Some(permit);
    let response = next(request).await;
    context.permit.lock().take();
    response
}
