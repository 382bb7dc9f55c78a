//! What a test may look at: the lines that were logged.
//!
//! Metrics need nothing from here: give the code a [`Metrics`](crate::Metrics) of its own and look at its text.
//!
//! ```
//! let logged = stanchion_telemetry::testing::capture();
//! let span = tracing::info_span!("request", request_id = "r-1");
//! span.in_scope(|| tracing::warn!(stock = 3, "almost sold out"));
//! let line = &logged.lines()[0];
//! assert_eq!(line["message"], "almost sold out");
//! assert_eq!((&line["stock"], &line["request_id"]), (&3.into(), &"r-1".into()));
//! assert_eq!(line["trace_id"].as_str().map(str::len), Some(32));
//! ```

use std::sync::Arc;

use opentelemetry_sdk::trace::SdkTracerProvider;
use parking_lot::Mutex;
use serde_json::Value;
use tracing::Subscriber;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::EnvFilter;

use crate::LogFormat;
use crate::init::subscriber;
use crate::lines::{self, Lines, Sink, Wanted};
use crate::unrecorded::Share;

/// Catches what is logged on this thread, at every level, until it is dropped.
///
/// Spans have trace ids, as after [`init`](crate::init), and go nowhere. Tasks are seen on a runtime of the one
/// thread (`#[tokio::test]`), work on other threads is not.
pub fn capture() -> Captured {
    capture_as(LogFormat::Json, "trace")
}

/// What was logged since [`capture`].
#[must_use]
pub struct Captured {
    text: Arc<Mutex<String>>,
    _subscriber: DefaultGuard,
}

impl Captured {
    /// Each line, parsed.
    ///
    /// # Panics
    /// When a line is not JSON: that would be a mistake in this crate.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let parsed = |line| serde_json::from_str(line).expect("every line is JSON");
        text.lines().map(parsed).collect()
    }

    /// All of it as it would be written, for instance to look for what must not be there.
    #[must_use]
    pub fn text(&self) -> String {
        self.text.lock().clone()
    }
}

pub(crate) fn capture_as(format: LogFormat, directives: &str) -> Captured {
    let text = Arc::new(Mutex::new(String::new()));
    let kept = text.clone();
    let sink = Arc::new(move |line: &[u8]| kept.lock().push_str(&String::from_utf8_lossy(line)));
    Captured {
        text,
        _subscriber: tracing::subscriber::set_default(writing(format, directives, sink)),
    }
}

/// A subscriber whose lines nobody reads.
#[cfg(test)]
pub(crate) fn silent() -> impl Subscriber + Send + Sync {
    writing(LogFormat::Json, "info", Arc::new(|_: &[u8]| {}))
}

fn writing(
    format: LogFormat,
    directives: &str,
    sink: Sink,
) -> impl Subscriber + Send + Sync + use<> {
    let share = Share(0.0);
    let provider = SdkTracerProvider::builder()
        .with_sampler(share.clone())
        .build();
    let lines = Lines::new(Wanted {
        format,
        sink,
        share,
        wanted: lines::wanted(directives),
    });
    subscriber(&provider, lines, EnvFilter::new(directives))
}

impl std::fmt::Debug for Captured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Captured").finish_non_exhaustive()
    }
}
