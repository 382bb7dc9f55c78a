use stanchion::telemetry::Metrics;
use stanchion::telemetry::prometheus_client::metrics::counter::Counter;
use stanchion::telemetry::prometheus_client::metrics::family::Family;
use stanchion::telemetry::prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

use super::call::Answered;
use crate::application::ports::GatewayError;

type CallLabel = [(&'static str, &'static str); 1];
type OutcomeLabels = [(&'static str, &'static str); 2];

/// How calls to the gateway go.
pub(super) struct CallMetrics {
    calls: Family<OutcomeLabels, Counter>,
    seconds: Family<CallLabel, Histogram, fn() -> Histogram>,
}

/// A call that is under way.
pub(super) struct RunningCall<'a> {
    metrics: &'a CallMetrics,
    call: &'static str,
    started: Instant,
}

impl CallMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            calls: metrics.counter_family(
                "shop_gateway_calls_total",
                "Calls to the payment gateway by what became of them.",
            ),
            seconds: metrics.histogram_family(
                "shop_gateway_call_duration_seconds",
                "How long calls to the payment gateway took.",
                buckets,
            ),
        }
    }

    pub(super) fn start(&self, call: &'static str) -> RunningCall<'_> {
        RunningCall {
            metrics: self,
            call,
            started: Instant::now(),
        }
    }
}

impl RunningCall<'_> {
    pub(super) fn end(self, answer: &Result<Answered, GatewayError>) {
        let outcome = match answer {
            Ok(Answered::Success(_)) => "success",
            Ok(Answered::Refused { .. }) => "refused",
            Err(GatewayError::Unknown(_)) => "unknown",
            Err(GatewayError::Unusable(_)) => "unusable",
        };
        let labels = [("call", self.call), ("outcome", outcome)];
        self.metrics.calls.get_or_create(&labels).inc();
        let seconds = self.metrics.seconds.get_or_create(&[("call", self.call)]);
        seconds.observe(self.started.elapsed().as_secs_f64());
    }
}

fn buckets() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ])
}
