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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_one_line_and_counted() {
        let logged = crate::testing::capture();
        let metrics = Metrics::default();
        let hook = std::panic::take_hook();
        install(&metrics);
        let caught = std::panic::catch_unwind(|| panic!("first\nsecond"));
        std::panic::set_hook(hook);
        assert!(caught.is_err());
        let lines = logged.lines();
        assert_eq!(lines.len(), 1);
        assert_eq!(
            (&lines[0]["message"], &lines[0]["reason"]),
            (&"panicked".into(), &"first\nsecond".into())
        );
        assert!(
            lines[0]["location"].as_str().unwrap().contains("panic.rs:"),
            "{}",
            lines[0]
        );
        assert!(metrics.encode().contains("stanchion_panics_total 1\n"));
    }
}
