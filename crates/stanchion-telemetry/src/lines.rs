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

/// The longest value of a field, in bytes; the rest is cut.
const VALUE_MAX: usize = 8 * 1024;

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
        let metadata = event.metadata();
        let line = match self.format {
            LogFormat::Json => json(metadata.level(), metadata.target(), fields.0),
            LogFormat::Pretty => pretty(metadata.level(), metadata.target(), fields.0),
        };
        (self.sink)(&line);
    }
}

/// The order is for people who read lines as they come: when, how bad, what, then the fields.
fn json(level: &Level, target: &str, mut fields: Map<String, Value>) -> String {
    let message = fields.remove("message").unwrap_or_default();
    let now = stanchion_runtime::clock::now();
    let level = level.as_str();
    let mut line = format!(r#"{{"timestamp":"{now:.6}","level":"{level}","message":{message}"#);
    let head = ["timestamp", "level", "target"];
    for (name, value) in fields
        .iter()
        .filter(|(name, _)| !head.contains(&name.as_str()))
    {
        // Writing to a string does not fail.
        let _ = write!(line, ",{}:{value}", Value::from(name.as_str()));
    }
    let _ = writeln!(line, r#","target":"{target}"}}"#);
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
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
}

/// The fields of a span or an event.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name();
        if !HIDDEN.iter().any(|prefix| name.starts_with(prefix)) {
            self.0.insert(name.to_owned(), value.into());
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, cut(value.to_owned()));
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
        self.put(field, cut(value.to_string()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, cut(format!("{value:?}")));
    }
}

fn cut(mut text: String) -> String {
    if text.len() > VALUE_MAX {
        let end = (0..=VALUE_MAX)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
