//! The fields of a span or an event, written out as the line will have them.

use std::fmt::{self, Write as _};

use serde_json::Number;
use tracing::field::{Field, Visit};

use super::escape;
use crate::LogFormat;

/// Fields of spans that tell the exporter something and a reader of logs nothing new.
const HIDDEN: [&str; 2] = ["otel.", "http."];

/// What there is room for in a span's fields from the beginning.
const SPAN_BYTES: usize = 64;
const SPAN_FIELDS: usize = 2;

/// Names, and one text of all their values.
pub(super) struct Fields {
    format: LogFormat,
    text: String,
    listed: Vec<Listed>,
}

struct Listed {
    name: &'static str,
    begin: usize,
    end: usize,
}

impl Fields {
    pub(super) fn new(format: LogFormat) -> Self {
        Self {
            format,
            text: String::new(),
            listed: Vec::new(),
        }
    }

    /// With room for those of a span, most of which have one or two.
    pub(super) fn of_span(format: LogFormat) -> Self {
        Self {
            text: String::with_capacity(SPAN_BYTES),
            listed: Vec::with_capacity(SPAN_FIELDS),
            ..Self::new(format)
        }
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.listed.clear();
    }

    /// Bytes that it keeps when it is cleared, about.
    pub(super) fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// The value in the form's words.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let listed = self.listed.iter().rev().find(|listed| listed.name == name);
        listed.map(|listed| self.value(listed))
    }

    /// Each name once, with the value that it was given last.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let later = |at: usize, name| self.listed[at + 1..].iter().any(|later| later.name == name);
        let listed = self.listed.iter().enumerate();
        let last = listed.filter(move |(at, listed)| !later(*at, listed.name));
        last.map(|(_, listed)| (listed.name, self.value(listed)))
    }

    fn value(&self, listed: &Listed) -> &str {
        &self.text[listed.begin..listed.end]
    }

    /// A text.
    pub(super) fn text(&mut self, name: &'static str, value: &str) {
        self.named(name, |text, format| {
            if value.len() <= escape::VALUE_BYTES_MAX / 2 {
                escape::text(text, format, value);
            } else {
                escape::written(text, format, format_args!("{value}"));
            }
        });
    }

    fn put(&mut self, field: &Field, write: impl FnOnce(&mut String, LogFormat)) {
        self.named(field.name(), write);
    }

    fn named(&mut self, name: &'static str, write: impl FnOnce(&mut String, LogFormat)) {
        let name = name.strip_prefix("r#").unwrap_or(name);
        if HIDDEN.iter().any(|prefix| name.starts_with(prefix)) {
            return;
        }
        let begin = self.text.len();
        write(&mut self.text, self.format);
        let end = self.text.len();
        self.listed.push(Listed { name, begin, end });
    }

    /// What is no text in JSON.
    fn bare(&mut self, field: &Field, value: impl fmt::Display) {
        self.put(field, |text, _| {
            // Writing to a string does not fail.
            let _ = write!(text, "{value}");
        });
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match Number::from_f64(value) {
            Some(number) => self.bare(field, number),
            // JSON has no word for infinity.
            None => self.bare(field, "null"),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, |text, format| {
            escape::written(text, format, format_args!("{value}"))
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, |text, format| {
            escape::written(text, format, format_args!("{value:?}"))
        });
    }
}
