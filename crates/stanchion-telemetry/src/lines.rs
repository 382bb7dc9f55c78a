//! Log lines: one event, one line, with the fields of the spans around it.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::LogFormat;

/// The longest value of a field, in bytes, with the mark that it was cut.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// What stands where the rest of a value was cut.
const CUT: char = '…';

/// Fields of spans that tell the exporter something and a reader of logs nothing new.
const HIDDEN: [&str; 2] = ["otel.", "http."];

/// Where lines go.
pub(crate) type Sink = std::sync::Arc<dyn Fn(&str) + Send + Sync>;

/// Writes each event as one line.
pub(crate) struct Lines {
    pub(crate) format: LogFormat,
    pub(crate) sink: Sink,
}

/// To standard error, a line in one write.
pub(crate) fn stderr() -> Sink {
    std::sync::Arc::new(|line| {
        // Nobody is left to be told that nobody can be told.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    })
}

impl<S> Layer<S> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        if let Some(scope) = ctx.event_scope(event) {
            for span in scope.from_root() {
                if let Some(of_span) = span.extensions().get::<Fields>() {
                    fields.0.extend(of_span.0.clone());
                }
            }
        }
        event.record(&mut fields);
        if !fields.0.contains_key("trace_id")
            && let Some(trace) = crate::trace::active_trace()
        {
            fields.0.insert("trace_id".into(), trace.into());
        }
        let level = event.metadata().level();
        let target = fields.target_of_log_record();
        let target = target.as_deref().unwrap_or(event.metadata().target());
        let line = match self.format {
            LogFormat::Json => json(level, target, fields.0),
            LogFormat::Pretty => pretty(level, target, fields.0),
        };
        (self.sink)(&line);
    }
}

/// The order is for people who read lines as they come: when, how bad, what, then the fields.
fn json(level: &Level, target: &str, mut fields: Map<String, Value>) -> String {
    let message = fields.remove("message").unwrap_or_default();
    let now = stanchion_runtime::clock::now();
    let level = level.as_str();
    let mut text = format!(r#"{{"timestamp":"{now:.6}","level":"{level}","message":{message}"#);
    let head = ["timestamp", "level", "target"];
    for (name, value) in fields
        .iter()
        .filter(|(name, _)| !head.contains(&name.as_str()))
    {
        // Writing to a string does not fail.
        let _ = write!(text, ",{}:{value}", Value::from(name.as_str()));
    }
    let _ = write!(text, r#","target":{}}}"#, Value::from(target));
    let mut line = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        // Only within a string can JSON hold one: all that stands between strings is plain ASCII.
        if disturbs(character) {
            let _ = write!(line, "\\u{:04x}", u32::from(character));
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    line
}

fn pretty(level: &Level, target: &str, mut fields: Map<String, Value>) -> String {
    let message = fields.remove("message").unwrap_or_default();
    let now = stanchion_runtime::clock::now();
    let mut line = format!("{now:.3} {:5} ", level.as_str());
    plain(&mut line, &message);
    for (name, value) in &fields {
        line.push_str(&format!(" {name}="));
        plain(&mut line, value);
    }
    // Writing to a string does not fail.
    let _ = writeln!(line, " ({target})");
    line
}

/// A value on one line, whatever is in it.
fn plain(line: &mut String, value: &Value) {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    for character in text.chars() {
        if disturbs(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
}

/// What breaks a line, moves a terminal's cursor or turns the direction of writing, in one viewer or another.
fn disturbs(character: char) -> bool {
    let breaks = matches!(character, '\u{2028}' | '\u{2029}');
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || breaks || turns
}

/// The fields of a span or an event.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name().trim_start_matches("r#");
        if !HIDDEN.iter().any(|prefix| name.starts_with(prefix)) {
            self.0.insert(name.to_owned(), value.into());
        }
    }

    /// Where a record of the `log` crate came from; its place in a file goes, as with every other event.
    fn target_of_log_record(&mut self) -> Option<String> {
        let target = self.0.remove("log.target")?;
        for name in ["log.module_path", "log.file", "log.line"] {
            self.0.remove(name);
        }
        target.as_str().map(str::to_owned)
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, cut(format_args!("{value}")));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, cut(format_args!("{value}")));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, cut(format_args!("{value:?}")));
    }
}

/// The text, cut while it is written: a huge value is never built.
fn cut(text: fmt::Arguments<'_>) -> String {
    let mut start = Start(String::new());
    if start.write_fmt(text).is_err() {
        start.0.push(CUT);
    }
    start.0
}

/// The start of a text; refuses what does not fit, which ends the writing.
struct Start(String);

impl fmt::Write for Start {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = VALUE_BYTES_MAX - CUT.len_utf8() - self.0.len();
        let fits = text.floor_char_boundary(room);
        self.0.push_str(&text[..fits]);
        if fits == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stanchion_config::SecretString;
    use tracing::{Level, error, error_span, info, info_span, span, warn};

    use super::*;
    use crate::testing::{capture, capture_as};

    #[test]
    fn an_event_carries_the_fields_of_the_spans_around_it_and_the_inner_one_wins() {
        let logged = capture();
        let outer = info_span!(
            "outer",
            request_id = "r-1",
            step = 1,
            later = tracing::field::Empty
        );
        let inner = info_span!(parent: &outer, "inner", step = 2);
        outer.record("later", true);
        inner.in_scope(|| info!(target: "shop", count = 7, ratio = 0.5, "counted"));
        let line = &logged.lines()[0];
        let expected = serde_json::json!({
            "timestamp": line["timestamp"], "trace_id": line["trace_id"], "level": "INFO", "target": "shop",
            "message": "counted", "request_id": "r-1", "step": 2, "later": true, "count": 7, "ratio": 0.5,
        });
        assert_eq!(*line, expected);
    }

    #[test]
    fn a_time_is_rfc_3339_in_utc_with_microseconds() {
        let logged = capture();
        info!("now");
        let time = logged.lines()[0]["timestamp"].as_str().unwrap().to_owned();
        let digits = time.replace(|c: char| c.is_ascii_digit(), "0");
        assert_eq!(digits, "0000-00-00T00:00:00.000000Z");
    }

    #[test]
    fn ids_are_there_even_when_only_errors_are_wanted() {
        let logged = capture_as(LogFormat::Json, "error");
        let span = info_span!("request", request_id = "r-1");
        span.in_scope(|| {
            warn!("not wanted");
            error!("wanted");
        });
        let lines = logged.lines();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["request_id"], "r-1");
        assert_eq!(lines[0]["trace_id"].as_str().map(str::len), Some(32));
    }

    #[test]
    fn an_event_outside_of_spans_has_no_ids() {
        let logged = capture();
        info!("alone");
        let line = &logged.lines()[0];
        assert!(
            line.get("trace_id").is_none() && line.get("request_id").is_none(),
            "{line}"
        );
    }

    #[test]
    fn a_field_cannot_pose_as_the_level_or_the_time() {
        let logged = capture();
        info!(
            level = "ERROR",
            timestamp = "never",
            r#type = "order",
            "odd"
        );
        let text = logged.text();
        assert!(!text.contains("ERROR") && !text.contains("never"), "{text}");
        assert_eq!(logged.lines()[0]["type"], "order");
    }

    #[test]
    fn a_huge_value_is_cut_at_a_character() {
        let logged = capture();
        let huge = "ü".repeat(1 << 20);
        info!(shown = huge, debugged = ?huge, displayed = %huge, "{huge}");
        let line = &logged.lines()[0];
        for name in ["shown", "debugged", "displayed", "message"] {
            let value = line[name].as_str().unwrap();
            let length = value.len();
            assert!(
                length <= VALUE_BYTES_MAX && length > VALUE_BYTES_MAX - 8,
                "{name}: {length}"
            );
            assert!(value.ends_with(CUT));
        }
    }

    #[test]
    fn a_value_that_just_fits_is_whole() {
        let fits = "x".repeat(VALUE_BYTES_MAX - CUT.len_utf8());
        assert_eq!(cut(format_args!("{fits}")), fits);
        assert!(cut(format_args!("{fits}x")).ends_with(CUT));
    }

    #[test]
    fn a_pretty_line_is_short_and_has_the_same_ids() {
        let logged = capture_as(LogFormat::Pretty, "info");
        let span = error_span!("request", request_id = "r-1");
        span.in_scope(|| info!(target: "shop", path = "/a\u{1b}[31m\nforged", "completed"));
        let line = logged.text();
        assert!(
            line.contains(" INFO  completed path=/a\\u{1b}[31m\\nforged request_id=r-1 trace_id="),
            "{line}"
        );
        assert!(
            line.ends_with(" (shop)\n") && line.lines().count() == 1,
            "{line}"
        );
    }

    #[test]
    fn a_secret_in_a_field_is_not_written() {
        let logged = capture();
        let secret = SecretString::from("canary");
        info!(?secret, "signed in");
        assert!(!logged.text().contains("canary"));
    }

    proptest! {
        #[test]
        fn whatever_is_logged_one_event_is_one_line_of_plain_characters(
            text in "\\PC*|[\\x00-\\x1f\\x7f-\\u{9f}\"\\\\\u{2028}\u{202e}]*|(?s).*",
        ) {
            for format in [LogFormat::Json, LogFormat::Pretty] {
                let logged = capture_as(format, "info");
                let span = span!(Level::INFO, "request", request_id = %text);
                span.in_scope(|| info!(field = text, debugged = ?text, "{text}"));
                let written = logged.text();
                let line = written.strip_suffix('\n').unwrap();
                prop_assert!(!line.contains(disturbs), "{:?}", line);
                if format == LogFormat::Json {
                    let lines = logged.lines();
                    prop_assert_eq!(lines[0]["field"].as_str(), Some(text.as_str()));
                }
            }
        }
    }
}
