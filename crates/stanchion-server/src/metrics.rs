//! The server's metrics, by the names of the contract.

mod used;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use stanchion_telemetry::{Buckets, Metrics};

use self::used::Used;

/// Seconds; from a cache hit to the longest deadline.
const BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// What no route matches is one endpoint, however many paths are tried.
pub(crate) const UNMATCHED: &str = "unmatched";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    method: &'static str,
    endpoint: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Endpoint {
    method: &'static str,
    endpoint: String,
}

/// `method` is the last part of the endpoint, so that both metrics have the same labels as those of HTTP.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    method: String,
    endpoint: String,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallEndpoint {
    method: String,
    endpoint: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reload {
    port: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Port {
    port: &'static str,
}

/// `action` is the name of a permission, `decision` one of three: as many as the routes have permissions, three times.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PolicyDecision {
    action: &'static str,
    decision: &'static str,
}

/// Every bound of the server, counted. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ServerMetrics(Arc<Kept>);

#[derive(Debug)]
pub(crate) struct Kept {
    answers: Used<(&'static str, u16)>,
    /// Timed or not: a stream's duration says nothing, and is none of its metrics.
    outcomes: Used<(&'static str, bool)>,
    requests: Family<Request, Counter>,
    durations: Family<Endpoint, Histogram, Buckets>,
    calls: Family<Call, Counter>,
    call_durations: Family<CallEndpoint, Histogram, Buckets>,
    connections: Gauge<i64, AtomicI64>,
    upgraded: Gauge<i64, AtomicI64>,
    refused: Family<Reason, Counter>,
    in_flight: Gauge<i64, AtomicI64>,
    waiting: Gauge<i64, AtomicI64>,
    shed: Family<Reason, Counter>,
    handshakes_failed: Family<Reason, Counter>,
    tls_reloads: Family<Reload, Counter>,
    tls_expires: Family<Port, Gauge>,
    policy_decisions: Family<PolicyDecision, Counter>,
    panics: Counter,
    cut: Counter,
    calls_cut: Family<Reason, Counter>,
    events_cut: Family<Reason, Counter>,
}

/// One more of a gauge, as long as it lives.
#[derive(Debug)]
pub(crate) struct Counting(Gauge<i64, AtomicI64>);

impl ServerMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self(Arc::new(Kept {
            answers: Used::default(),
            outcomes: Used::default(),
            requests: metrics.counter_family("http_requests_total", "Requests answered."),
            durations: metrics.histogram_family(
                "http_request_duration_seconds",
                "From a request's head to its answer's.",
                || Histogram::new(BUCKETS),
            ),
            calls: metrics.counter_family("grpc_requests_total", "gRPC calls ended."),
            call_durations: metrics.histogram_family(
                "grpc_request_duration_seconds",
                "From a gRPC call's head to its status; of streams none.",
                || Histogram::new(BUCKETS),
            ),
            connections: metrics.gauge("stanchion_server_connections", "Open connections."),
            upgraded: metrics.gauge(
                "stanchion_server_connections_upgraded",
                "Open connections that speak another protocol than HTTP, because a request asked for it.",
            ),
            refused: metrics.counter_family(
                "stanchion_server_connections_refused_total",
                "Connections closed at once or kept waiting, by the bound that was reached.",
            ),
            in_flight: metrics.gauge(
                "stanchion_server_requests_in_flight",
                "Requests being worked on.",
            ),
            waiting: metrics.gauge(
                "stanchion_server_requests_waiting",
                "Requests that wait for something to happen, event streams included.",
            ),
            shed: metrics.counter_family(
                "stanchion_server_requests_shed_total",
                "Requests answered 503 before any work was done, by the bound that was reached.",
            ),
            handshakes_failed: metrics.counter_family(
                "stanchion_server_tls_handshakes_failed_total",
                "Connections with which no TLS was agreed on, by why.",
            ),
            tls_reloads: metrics.counter_family(
                "stanchion_server_tls_reloads_total",
                "Changed certificate files: taken into use, or refused.",
            ),
            tls_expires: metrics.gauge_family(
                "stanchion_server_tls_certificate_expires_timestamp_seconds",
                "When the certificate that a port shows ends, in seconds since 1970; nothing without TLS.",
            ),
            policy_decisions: metrics.counter_family(
                "stanchion_server_policy_decisions_total",
                "Questions to policies about an object, by the action's permission: allowed, denied, or a misfit that nothing can decide.",
            ),
            panics: metrics.counter("stanchion_server_panics_total", "Handlers that panicked."),
            cut: metrics.counter(
                "stanchion_server_requests_cut_total",
                "Requests cut off by a stop, and connections that they had upgraded.",
            ),
            calls_cut: metrics.counter_family(
                "stanchion_server_grpc_calls_cut_total",
                "gRPC calls that were answered and ended before their last message, by the bound that was reached.",
            ),
            events_cut: metrics.counter_family(
                "stanchion_server_event_streams_cut_total",
                "Event streams that were ended before their last event, by the bound that was reached.",
            ),
        }))
    }

    pub(crate) fn answered(
        &self,
        method: &http::Method,
        endpoint: Option<&str>,
        status: u16,
        seconds: f64,
    ) {
        let endpoint = endpoint.unwrap_or(UNMATCHED);
        let method = method_label(method);
        let metrics = || {
            let endpoint = endpoint.to_owned();
            let labels = Endpoint {
                method,
                endpoint: endpoint.clone(),
            };
            let durations = Some(self.durations.get_or_create_owned(&labels));
            let labels = Request {
                method,
                endpoint,
                status,
            };
            (self.requests.get_or_create_owned(&labels), durations)
        };
        let count = (Some(seconds), (method, status));
        self.answers.count(endpoint, count, metrics);
    }

    pub(crate) fn called(
        &self,
        endpoint: Option<&str>,
        status: &'static str,
        seconds: Option<f64>,
    ) {
        let endpoint = endpoint.unwrap_or(UNMATCHED);
        let metrics = || {
            let endpoint = endpoint.to_owned();
            let method = endpoint.rsplit('/').next().unwrap_or_default().to_owned();
            let labels = CallEndpoint {
                method: method.clone(),
                endpoint: endpoint.clone(),
            };
            let durations = seconds.map(|_| self.call_durations.get_or_create_owned(&labels));
            let labels = Call {
                method,
                endpoint,
                status,
            };
            (self.calls.get_or_create_owned(&labels), durations)
        };
        let count = (seconds, (status, seconds.is_some()));
        self.outcomes.count(endpoint, count, metrics);
    }

    pub(crate) fn connection(&self) -> Counting {
        Counting::of(&self.connections)
    }

    pub(crate) fn upgraded(&self) -> Counting {
        Counting::of(&self.upgraded)
    }

    pub(crate) fn request_began(&self) {
        self.in_flight.inc();
    }

    pub(crate) fn request_ended(&self) {
        self.in_flight.dec();
    }

    pub(crate) fn waiting(&self) -> Counting {
        Counting::of(&self.waiting)
    }

    pub(crate) fn connection_refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn connections_full(&self) {
        self.connection_refused("waiting");
    }

    pub(crate) fn shed(&self, reason: &'static str) {
        self.shed.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn handshake_failed(&self, reason: &'static str) {
        self.handshakes_failed
            .get_or_create(&Reason { reason })
            .inc();
    }

    pub(crate) fn tls_reloaded(&self, port: &'static str, result: &'static str) {
        let reload = Reload { port, result };
        self.tls_reloads.get_or_create(&reload).inc();
    }

    pub(crate) fn tls_expires(&self, port: &'static str, at: i64) {
        self.tls_expires.get_or_create(&Port { port }).set(at);
    }

    pub(crate) fn decided(&self, action: &'static str, decision: &'static str) {
        let decided = PolicyDecision { action, decision };
        self.policy_decisions.get_or_create(&decided).inc();
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    pub(crate) fn cut(&self) {
        self.cut.inc();
    }

    pub(crate) fn call_cut(&self, bound: &'static str) {
        self.calls_cut
            .get_or_create(&Reason { reason: bound })
            .inc();
    }

    pub(crate) fn events_cut(&self, bound: &'static str) {
        self.events_cut
            .get_or_create(&Reason { reason: bound })
            .inc();
    }
}

impl Deref for ServerMetrics {
    type Target = Kept;

    fn deref(&self) -> &Kept {
        &self.0
    }
}

impl Counting {
    fn of(gauge: &Gauge<i64, AtomicI64>) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A client may send any method; the label takes a few.
fn method_label(method: &http::Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("OTHER")
}
