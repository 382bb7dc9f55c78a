use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::{Level, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::export::{self, ExportError};
use crate::late::{Lately, Nothing};
use crate::lines::{self, Lines, Wanted};
use crate::unrecorded::{Recorded, Share};
use crate::{LogFormat, Metrics, TelemetrySettings};

/// How long a flush may take.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Why telemetry did not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The directives of `telemetry.log` cannot be read.
    #[error(
        "telemetry.log: {0}; write a level such as info, or directives such as info,shop=debug"
    )]
    Filter(String),
    /// The exporter cannot be made.
    #[error("telemetry.otlp_endpoint: {0}")]
    Export(#[from] ExportError),
    /// There is one already in this process.
    #[error("telemetry was started twice in one process")]
    Twice,
}

/// Logs, metrics and traces of this process.
#[derive(Clone)]
pub struct Telemetry {
    provider: SdkTracerProvider,
    metrics: Metrics,
}

/// What drivers tell at debug and nobody may read, whatever is wanted: the parameters of statements, and with them whatever is
/// stored; the URL of a broker, and with it the password.
const UNTOLD: &str = "tokio_postgres::query=info,async_nats::connector=info";

/// The directives as they are given, but for what is told to nobody.
fn directives(given: &str) -> String {
    if given.trim().is_empty() {
        return given.to_owned();
    }
    format!("{given},{UNTOLD}")
}

/// Starts logs, metrics and traces: once a process, within the runtime that will export.
///
/// # Errors
/// See [`TelemetryError`]; nothing is started then.
pub fn init(settings: &TelemetrySettings, service: &str) -> Result<Telemetry, TelemetryError> {
    let directives = directives(&settings.log);
    let filter = EnvFilter::try_new(&directives);
    let filter = filter.map_err(|error| TelemetryError::Filter(error.to_string()))?;
    let terminal = if std::io::stderr().is_terminal() {
        LogFormat::Pretty
    } else {
        LogFormat::Json
    };
    let format = settings.format.unwrap_or(terminal);
    let share = Share(
        settings
            .otlp_endpoint
            .as_ref()
            .map_or(0.0, |_| settings.sampled),
    );
    let provider = export::provider(settings.otlp_endpoint.as_deref(), &share, service)?;
    let sink = lines::stderr();
    let lines = Lines::new(Wanted {
        format,
        sink,
        share,
        wanted: lines::wanted(&directives),
    });
    subscriber(&provider, lines, filter)
        .try_init()
        .map_err(|_| TelemetryError::Twice)?;
    crate::install_crypto();
    let metrics = Metrics::default();
    crate::panic::install(&metrics);
    Ok(Telemetry { provider, metrics })
}

/// Spans to the provider, events to lines.
pub(crate) fn subscriber(
    provider: &SdkTracerProvider,
    lines: Lines,
    filter: EnvFilter,
) -> impl Subscriber + Send + Sync + use<> {
    // However few events are wanted, each carries the ids of the spans around it.
    let carrying = filter_fn(|metadata| metadata.is_span() && *metadata.level() <= Level::INFO)
        .with_max_level_hint(LevelFilter::INFO);
    // A filter that looks at no spans has nothing to do at each of their steps.
    let filter: Box<dyn Filter<_> + Send + Sync> = match lines.0.wanted.clone() {
        Some(wanted) => Box::new(wanted.or(carrying)),
        None => Box::new(filter.or(carrying)),
    };
    let within = Registry::default()
        .with(spans(provider).with_filter(Recorded))
        .with(lines.clone().with_filter(filter));
    // The same once more, without anything to do: whoever asks a span for its context looks for a layer that belongs to
    // the outermost subscriber.
    Lately::new(within).with(spans(provider).with_filter(Nothing(lines)))
}

/// Spans to the provider.
fn spans<S>(provider: &SdkTracerProvider) -> OpenTelemetryLayer<S, SdkTracer>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer()
        .with_tracer(export::tracer(provider))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
}

impl Telemetry {
    /// Where metrics are kept.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Sends the spans that wait; at most three seconds, and what is left then is lost.
    pub async fn flush(self) {
        let provider = self.provider;
        let flush = stanchion_runtime::task::blocking("flush traces", move || {
            // The endpoint may be out; the process ends all the same.
            let _ = provider.shutdown_with_timeout(FLUSH_TIMEOUT);
        });
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, flush).await;
    }
}

/// Chooses aws-lc-rs as the one provider of cryptography; further calls change nothing.
pub fn install_crypto() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use tracing::{debug, warn};

    use super::*;

    #[test]
    fn what_drivers_tell_of_parameters_and_passwords_is_written_at_no_level() {
        for wanted in [
            "debug",
            "trace",
            "info,tokio_postgres=trace,async_nats=debug",
        ] {
            let logged = crate::testing::capture_as(LogFormat::Json, &directives(wanted));
            debug!(target: "tokio_postgres::query", "executing with parameters: [canary]");
            debug!(target: "async_nats::connector", server = "nats://shop:canary@broker", "connecting");
            warn!(target: "async_nats::connector", "the server is lame");
            let text = logged.text();
            assert!(!text.contains("canary"), "{wanted}: {text}");
            assert!(text.contains("lame"), "{wanted}: {text}");
        }
        assert_eq!(directives(" "), " ");
    }
}
