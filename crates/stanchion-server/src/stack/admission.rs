use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};

use super::Stack;
use crate::codes;
use crate::context::Context;

/// Paths that answer however much there is to do.
const ALWAYS: [&str; 2] = ["/health", "/ready"];

/// A request that is let in; dropped, it gives its place back.
pub(crate) struct Admitted(Option<Arc<Context>>);

/// Lets a bounded number of requests be worked on; the others are told to come back.
///
/// # Errors
/// The answer that tells so.
#[expect(clippy::result_large_err, reason = "it is answered at once")]
pub(crate) fn admit(stack: &Stack, request: &Request) -> Result<Admitted, Response> {
    if ALWAYS.contains(&request.uri().path()) {
        return Ok(Admitted(None));
    }
    let Ok(permit) = stack.admission.clone().try_acquire_owned() else {
        stack.metrics.shed("in_flight");
        return Err(codes::OVERLOADED.problem().into_response());
    };
    let context = request.extensions().get::<Arc<Context>>().cloned();
    if let Some(context) = &context {
        // Kept in the context, so that a request that waits can give it back early.
        *context.permit.lock() = Some(permit);
    }
    Ok(Admitted(context))
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some(context) = &self.0 {
            context.permit.lock().take();
        }
    }
}
