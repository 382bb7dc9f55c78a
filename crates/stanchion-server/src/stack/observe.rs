use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use stanchion_telemetry::{MAY_WAIT, trace};
use tonic::Code;
use tracing::Span;

use super::{InFlight, Stack};
use crate::context::{Context, Waiting};
use crate::grpc;
use crate::metrics::ServerMetrics;

/// A longer path is cut in the log, in characters.
const PATH_CHARS_MAX: usize = 1024;

/// As `to_string`, which takes the long way round: every line has one, most of them of this kind.
fn text_of(address: IpAddr) -> String {
    let IpAddr::V4(address) = address else {
        return address.to_string();
    };
    let mut text = String::with_capacity("255.255.255.255".len());
    for (at, part) in address.octets().into_iter().enumerate() {
        if at > 0 {
            text.push('.');
        }
        for unit in [100, 10, 1] {
            if part >= unit || unit == 1 {
                text.push(char::from(b'0' + part / unit % 10));
            }
        }
    }
    text
}

fn start(path: &str) -> &str {
    let end = path.char_indices().nth(PATH_CHARS_MAX);
    end.map_or(path, |(end, _)| &path[..end])
}

/// A request that is watched: counted, timed, and told of in one line of the log. Dropped unanswered, its client went
/// away.
pub(crate) struct Watch {
    in_flight: InFlight,
    metrics: ServerMetrics,
    method: http::Method,
    path: String,
    span: Span,
    context: Option<Arc<Context>>,
    answered: bool,
    /// How long a stream lasts says nothing of how fast we are.
    waited: bool,
}

/// What came of a request.
#[derive(Clone, Copy)]
enum Ended {
    Answer(u16),
    Call(Code),
}

/// What the log and metrics call a request whose client went away first.
const CLIENT_CLOSED: u16 = 499;

impl Watch {
    /// From now on; the current span is the request's.
    pub(crate) fn of(stack: &Stack, request: &Request) -> Self {
        Self {
            in_flight: stack.in_flight.clone(),
            metrics: stack.metrics.clone(),
            method: request.method().clone(),
            path: start(request.uri().path()).to_owned(),
            span: Span::current(),
            context: request.extensions().get::<Arc<Context>>().cloned(),
            answered: false,
            waited: false,
        }
    }

    /// To the answer, or of a gRPC call to its status.
    pub(crate) fn answered(self, response: Response) -> Response {
        if grpc::is_grpc(response.headers()) {
            return self.call(response);
        }
        let status = response.status().as_u16();
        self.finish(Ended::Answer(status));
        response
    }

    /// A call has ended when its status is sent, which may be long after its head.
    fn call(mut self, mut response: Response) -> Response {
        if let Some(code) = grpc::outcome(response.headers()) {
            self.finish(Ended::Call(code));
            return response;
        }
        let Some(context) = self.context.clone() else {
            return response;
        };
        let waiting = response.extensions_mut().remove::<Arc<Waiting>>();
        self.waited = waiting.is_some();
        grpc::Call::watch(response, Arc::clone(&context), move |code| {
            drop(waiting);
            self.in_flight.leave(&context);
            // The request's own future has ended.
            let span = self.span.clone();
            span.in_scope(|| self.finish(Ended::Call(code)));
        })
    }

    fn finish(mut self, ended: Ended) {
        self.tell(ended);
    }

    fn tell(&mut self, ended: Ended) {
        self.answered = true;
        let Some(context) = &self.context else { return };
        let elapsed = context.started.elapsed().as_secs_f64();
        let endpoint = context.endpoint();
        let metrics = &self.metrics;
        let (status, grpc_status) = match ended {
            Ended::Answer(status) => {
                metrics.answered(&self.method, endpoint, status, elapsed);
                (status, None)
            }
            Ended::Call(code) => {
                let name = grpc::name(code);
                let timed = (!self.waited).then_some(elapsed);
                metrics.called(endpoint, name, timed);
                (200, Some(name))
            }
        };
        if trace::is_recorded() {
            self.describe(endpoint, status);
        }
        let principal = context.principal();
        tracing::info!(
            name: MAY_WAIT,
            request_id = context.request_id,
            trace_id = trace::trace_id(),
            method = self.method.as_str(),
            path = self.path,
            endpoint,
            status,
            grpc_status,
            // Whole microseconds: a float's tail tells nothing.
            duration_ms = (elapsed * 1e6).round() / 1e3,
            remote_addr = context.remote.map(text_of),
            principal = principal.map(|principal| tracing::field::display(&principal.subject)),
            "request completed"
        );
    }

    /// For whoever looks at the trace.
    fn describe(&self, endpoint: Option<&str>, status: u16) {
        self.span.record("http.route", endpoint);
        // The name that tracing backends group by: the template, never the path.
        let name = endpoint.map(|endpoint| format!("{} {endpoint}", self.method));
        trace::rename(&self.span, name.unwrap_or_else(|| self.method.to_string()));
        self.span.record("http.response.status_code", status);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.answered {
            let is_call = self
                .context
                .as_ref()
                .is_some_and(|context| context.accept.grpc);
            self.tell(if is_call {
                Ended::Call(Code::Cancelled)
            } else {
                Ended::Answer(CLIENT_CLOSED)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_elsewhere() {
        for address in [
            "0.0.0.0",
            "127.0.0.1",
            "10.20.100.205",
            "255.255.255.255",
            "::1",
        ] {
            assert_eq!(text_of(address.parse().unwrap()), address);
        }
    }

    #[test]
    fn a_path_is_cut_between_characters() {
        let long = "é".repeat(PATH_CHARS_MAX + 1);
        assert_eq!(start(&long).chars().count(), PATH_CHARS_MAX);
        assert_eq!(start("/hello"), "/hello");
    }
}
