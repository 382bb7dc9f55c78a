use std::panic::AssertUnwindSafe;

use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use stanchion_runtime::task::panic_text;

use super::Stack;
use crate::Problem;

/// Answers 500 for a handler that panicked; the panic hook has logged where.
pub(crate) async fn guard(stack: &Stack, answer: impl Future<Output = Response>) -> Response {
    // What a panic leaves half done is dropped with the request; stores have their own transactions.
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(response) => response,
        Err(payload) => {
            stack.metrics.panicked();
            Problem::internal(format!("a handler panicked: {}", panic_text(&*payload)))
                .into_response()
        }
    }
}
