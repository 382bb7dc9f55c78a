//! A panic is one line in the log and one in a counter.

use std::panic::PanicHookInfo;

use crate::Metrics;

/// Replaces the default hook, which writes several lines in a form of its own.
pub(crate) fn install(metrics: &Metrics) {
    let panics = metrics.counter("stanchion_panics_total", "Panics in this process.");
    std::panic::set_hook(Box::new(move |info| {
        panics.inc();
        tracing::error!(
            location = info.location().map(ToString::to_string),
            thread = std::thread::current().name(),
            reason = text(info),
            "panicked"
        );
    }));
}

fn text<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    info.payload_as_str().unwrap_or("a value that is no text")
}
