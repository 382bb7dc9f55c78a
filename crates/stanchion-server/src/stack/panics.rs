use std::any::Any;

use axum::response::{IntoResponse, Response};
use stanchion_runtime::task::panic_text;

use super::Stack;
use crate::Problem;

/// Answers 500 for a handler that panicked; the panic hook has logged where. What a panic leaves half done is dropped with
/// the request; stores have their own transactions.
pub(crate) fn answer(stack: &Stack, panic: &(dyn Any + Send)) -> Response {
    stack.metrics.panicked();
    Problem::internal(format!("a handler panicked: {}", panic_text(panic))).into_response()
}
