use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use stanchion_telemetry::trace;
use tracing::Span;

use super::Stack;
use crate::context::Context;

/// A longer path is cut in the log, in characters.
const PATH_CHARS_MAX: usize = 1024;

/// Counts and times the request, and writes its one log line.
pub(crate) async fn observe(State(stack): State<Stack>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(PATH_CHARS_MAX).collect();
    let context = request.extensions().get::<Arc<Context>>().cloned();
    let mut watch = Watch {
        stack,
        method,
        path,
        context,
        answered: false,
    };
    let response = next.run(request).await;
    watch.finish(response.status().as_u16());
    response
}

/// A request that is watched; dropped unanswered, its client went away.
struct Watch {
    stack: Stack,
    method: http::Method,
    path: String,
    context: Option<Arc<Context>>,
    answered: bool,
}

/// What the log and metrics call a request whose client went away first.
const CLIENT_CLOSED: u16 = 499;

impl Watch {
    fn finish(&mut self, status: u16) {
        self.answered = true;
        let Some(context) = &self.context else { return };
        let elapsed = context.started.elapsed().as_secs_f64();
        let endpoint = context.endpoint();
        self.stack
            .metrics
            .answered(&self.method, endpoint, status, elapsed);
        let span = Span::current();
        span.record("http.route", endpoint);
        // The name that tracing backends group by: the template, never the path.
        let name = endpoint.map(|endpoint| format!("{} {endpoint}", self.method));
        trace::rename(&span, name.unwrap_or_else(|| self.method.to_string()));
        span.record("http.response.status_code", status);
        let principal = context
            .principal()
            .map(|principal| principal.subject.to_string());
        tracing::info!(
            request_id = %context.request_id,
            trace_id = trace::trace_id(),
            method = %self.method,
            path = %self.path,
            endpoint,
            status,
            // Whole microseconds: a float's tail tells nothing.
            duration_ms = (elapsed * 1e6).round() / 1e3,
            remote_addr = context.remote.map(|remote| remote.to_string()),
            principal,
            "request completed"
        );
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.answered {
            self.finish(CLIENT_CLOSED);
        }
    }
}
