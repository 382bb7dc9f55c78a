use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use http::uri::PathAndQuery;
use stanchion_telemetry::trace;
use stanchion_telemetry::{MAY_WAIT, label, write_directly};
use tonic::Code;
use tracing::Span;

use super::InFlight;
use super::identify::Identified;
use crate::context::{Context, Waiting};
use crate::grpc;

/// A longer path is cut in the log, in characters.
const PATH_CHARS_MAX: usize = 1024;

fn start(path: &str) -> &str {
    // So many characters have at least as many bytes.
    if path.len() <= PATH_CHARS_MAX {
        return path;
    }
    let end = path.char_indices().nth(PATH_CHARS_MAX);
    end.map_or(path, |(end, _)| &path[..end])
}

/// A request that is watched: counted, timed, and told of in one line of the log. Dropped unanswered, its client went
/// away.
pub(crate) struct Watch<'s> {
    in_flight: &'s InFlight,
    identified: &'s Identified,
    target: Option<PathAndQuery>,
    is_told: bool,
}

/// What is told of.
#[derive(Clone, Copy)]
struct Watched<'w> {
    context: &'w Context,
    target: Option<&'w PathAndQuery>,
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

impl<'s> Watch<'s> {
    /// From now on.
    pub(crate) fn of(
        in_flight: &'s InFlight,
        identified: &'s Identified,
        request: &Request,
    ) -> Self {
        Self {
            in_flight,
            identified,
            target: request.uri().path_and_query().cloned(),
            is_told: false,
        }
    }

    /// To the answer, or of a gRPC call to its status.
    pub(crate) fn answered(mut self, response: Response) -> Response {
        self.is_told = true;
        if grpc::is_grpc(response.headers()) {
            return self.call(response);
        }
        let status = response.status().as_u16();
        self.watched().tell(Ended::Answer(status));
        response
    }

    fn watched(&self) -> Watched<'_> {
        Watched {
            context: self.identified.context(),
            target: self.target.as_ref(),
            waited: false,
        }
    }

    /// A call has ended when its status is sent, which may be long after its head.
    fn call(&mut self, mut response: Response) -> Response {
        if let Some(code) = grpc::outcome(response.headers()) {
            self.watched().tell(Ended::Call(code));
            return response;
        }
        let waiting = response.extensions_mut().remove::<Arc<Waiting>>();
        let waited = waiting.is_some();
        let (in_flight, target) = (self.in_flight.clone(), self.target.take());
        let context = Arc::clone(self.identified.context());
        let of_call = Arc::clone(&context);
        context.ends_by_itself.store(true, Ordering::Relaxed);
        let first = self.identified.first().clone();
        grpc::Call::watch(response, context, first, move |code| {
            drop(waiting);
            in_flight.leave(&of_call);
            let watched = Watched {
                context: &of_call,
                target: target.as_ref(),
                waited,
            };
            watched.tell(Ended::Call(code));
        })
    }
}

impl Watched<'_> {
    /// Within the request's span.
    fn tell(&self, ended: Ended) {
        let context = self.context;
        let metrics = &context.lent.metrics;
        // A call may have gone on after its head.
        let elapsed = match ended {
            Ended::Answer(_) => context.took(),
            Ended::Call(_) => context.started.elapsed(),
        };
        let endpoint = context.endpoint();
        let (status, grpc_status) = match ended {
            Ended::Answer(status) => {
                metrics.answered(&context.method, endpoint, status, elapsed.as_secs_f64());
                (status, None)
            }
            Ended::Call(code) => {
                let name = grpc::name(code);
                let timed = (!self.waited).then_some(elapsed.as_secs_f64());
                metrics.called(endpoint, name, timed);
                (200, Some(name))
            }
        };
        if trace::is_recorded() {
            self.describe(endpoint, status);
        }
        self.log(status, grpc_status, elapsed);
    }

    /// The one line of the request. It comes by the thousand, and is written directly where that is possible.
    fn log(&self, status: u16, grpc_status: Option<&'static str>, elapsed: Duration) {
        const MESSAGE: &str = "request completed";
        let context = self.context;
        let method = context.method.as_str();
        let path = self.target.map_or("", PathAndQuery::path);
        let path = start(path);
        let endpoint = context.endpoint();
        let principal = context.principal().map(|principal| &principal.subject);
        let is_written = write_directly(module_path!(), MESSAGE, |line| {
            // Ids and methods are of a few letters only, or they were not taken over.
            line.plain(label!("request_id"), &context.request_id);
            line.trace_id();
            line.text(label!("method"), method);
            line.text(label!("path"), path);
            if let Some(endpoint) = endpoint {
                line.text(label!("endpoint"), endpoint);
            }
            line.number(label!("status"), status.into());
            if let Some(status) = grpc_status {
                line.plain(label!("grpc_status"), status);
            }
            line.milliseconds(label!("duration_ms"), elapsed);
            if let Some(remote) = context.remote {
                line.address(label!("remote_addr"), remote);
            }
            if let Some(principal) = principal {
                line.text(label!("principal"), &principal.to_string());
            }
        });
        if is_written {
            return;
        }
        tracing::info!(
            name: MAY_WAIT,
            request_id = context.request_id(),
            trace_id = trace::trace_id(),
            method,
            path,
            endpoint,
            status,
            grpc_status,
            // Whole microseconds: a float's tail tells nothing.
            duration_ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3,
            remote_addr = context.remote.map(tracing::field::display),
            principal = principal.map(tracing::field::display),
            "{MESSAGE}"
        );
    }

    /// For whoever looks at the trace.
    fn describe(&self, endpoint: Option<&str>, status: u16) {
        let (span, method) = (Span::current(), &self.context.method);
        span.record("http.route", endpoint);
        // The name that tracing backends group by: the template, never the path.
        let name = endpoint.map(|endpoint| format!("{method} {endpoint}"));
        trace::rename(&span, name.unwrap_or_else(|| method.to_string()));
        span.record("http.response.status_code", status);
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            let watched = self.watched();
            watched.tell(if watched.context.accept.grpc {
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
    fn a_path_is_cut_between_characters() {
        let long = "é".repeat(PATH_CHARS_MAX + 1);
        assert_eq!(start(&long).chars().count(), PATH_CHARS_MAX);
        assert_eq!(start("/hello"), "/hello");
    }
}
