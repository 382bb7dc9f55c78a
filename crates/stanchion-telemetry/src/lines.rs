//! Log lines: one event, one line, with the fields of the spans around it.

mod direct;
mod escape;
mod fields;
mod label;
mod second;
mod sink;

pub(crate) use direct::wanted;
pub use direct::{Direct, write_directly};
pub use label::Label;
pub(crate) use sink::{Sink, stderr};

use std::cell::Cell;
use std::fmt::Write as _;
use std::sync::Arc;

use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::LogFormat;
use crate::late::Nothing;
use crate::unrecorded::{self, Beginning, Share, Unrecorded};
use fields::Fields;
use second::Second;

/// The name of events whose lines may wait a moment (20 ms) for others, to be written together with them.
///
/// For lines that come by the thousand, as the one of each request: `tracing::info!(name: MAY_WAIT, …)`. Every other
/// line is written at once, and those that wait before it. A process that is killed loses the ones that wait.
pub const MAY_WAIT: &str = "stanchion.may_wait";

/// What a thread keeps of one line's memory for the next, in bytes.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Writes each event as one line, and makes the ids of unrecorded spans current while they are entered.
#[derive(Clone)]
pub(crate) struct Lines(pub(crate) Arc<Wanted>);

/// Which lines are wanted, how and where, and which traces are recorded.
pub(crate) struct Wanted {
    pub(crate) format: LogFormat,
    pub(crate) sink: Sink,
    /// Of traces that begin here, so many are recorded.
    pub(crate) share: Share,
    /// What the log is filtered by, where that can be said without an event.
    pub(crate) wanted: Option<Targets>,
}

/// What a span carries for the lines within it. One thing: a registry keeps each in a box of its own.
struct Carried {
    fields: Fields,
    unrecorded: Option<Unrecorded>,
}

thread_local! {
    /// Taken out while it is in use: what is logged may itself log while it is written out.
    static KEPT: Cell<Option<Box<Line>>> = const { Cell::new(None) };
}

impl<S> Layer<S> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let mut fields = Fields::of_span(self.0.format);
        attributes.record(&mut fields);
        let beginning = unrecorded::take_beginning();
        if let Some(late) = beginning.as_ref().and_then(|it| it.late.as_ref()) {
            late.tell(&mut |name, value| fields.text(name, value));
        }
        let unrecorded = part(beginning, attributes, &ctx);
        if let Some(span) = ctx.span(id) {
            let carried = Carried { fields, unrecorded };
            span.extensions_mut().insert(carried);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id)
            && let Some(carried) = span.extensions_mut().get_mut::<Carried>()
        {
            values.record(&mut carried.fields);
        }
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let extensions = span.extensions();
        let carried = extensions.get::<Carried>();
        if let Some(unrecorded) = carried.and_then(|carried| carried.unrecorded.clone()) {
            drop(extensions);
            unrecorded.enter(id);
        }
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        unrecorded::exit(id);
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let may_wait = event.metadata().name() == MAY_WAIT;
        self.0.line(may_wait, |line| line.write(event, &ctx));
    }
}

impl Lines {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self(Arc::new(wanted))
    }

    /// Of our own subscriber.
    pub(crate) fn of(dispatch: &Dispatch) -> Option<&Wanted> {
        let nothing: &Nothing = dispatch.downcast_ref()?;
        Some(nothing.0.0.as_ref())
    }
}

impl Wanted {
    /// Writes a line into memory that is kept, and then out.
    fn line(&self, may_wait: bool, write: impl FnOnce(&mut Line)) {
        let kept = KEPT.take().filter(|kept| kept.format == self.format);
        let mut line = kept.unwrap_or_else(|| Box::new(Line::new(self.format)));
        write(&mut line);
        self.sink.write(&line.text, may_wait);
        if line.text.capacity() + line.own.capacity() <= KEPT_BYTES_MAX {
            line.clear();
            KEPT.set(Some(line));
        }
    }
}

/// The unrecorded trace that a new span belongs to: the one that begins with it, or its parent's.
fn part<S>(
    beginning: Option<Beginning>,
    attributes: &Attributes<'_>,
    ctx: &Context<'_, S>,
) -> Option<Unrecorded>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    if let Some(beginning) = beginning {
        let is_alone = ctx.lookup_current().is_none() || attributes.is_root();
        return Some(Unrecorded::beginning(beginning.context, is_alone));
    }
    let parent = match attributes.parent() {
        Some(parent) => ctx.span(parent),
        None if attributes.is_contextual() && unrecorded::is_within() => ctx.lookup_current(),
        None => None,
    };
    let extensions = parent.as_ref()?.extensions();
    let carried = extensions.get::<Carried>()?;
    carried.unrecorded.as_ref().map(Unrecorded::within)
}

/// A line on its way.
struct Line {
    format: LogFormat,
    /// The event's own fields.
    own: Fields,
    text: String,
    /// Of the fields in it: the innermost of a name is the one that is written.
    names: Vec<&'static str>,
    second: Second,
}

impl Line {
    fn new(format: LogFormat) -> Self {
        Self {
            format,
            own: Fields::new(format),
            text: String::new(),
            names: Vec::new(),
            second: Second::default(),
        }
    }

    fn clear(&mut self) {
        self.own.clear();
        self.text.clear();
        self.names.clear();
    }

    /// The order is for people who read lines as they come: when, how bad, what, then the fields, then where.
    fn write<S>(&mut self, event: &Event<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        event.record(&mut self.own);
        self.begin(event.metadata().level().as_str());
        self.message(event, ctx);
        self.fields(event, ctx);
        match self.own.get("log.target") {
            // Where a record of the `log` crate came from.
            Some(target) => {
                let target = target.to_owned();
                self.end(|text, _| text.push_str(&target));
            }
            None => self.end(|text, format| escape::text(text, format, event.metadata().target())),
        }
    }

    /// When, and how bad; the message follows.
    fn begin(&mut self, level: &str) {
        if self.format == LogFormat::Json {
            self.text.push_str("{\"timestamp\":\"");
            self.second.write(&mut self.text, 6);
            self.text.push_str("\",\"level\":\"");
            self.text.push_str(level);
            self.text.push_str("\",\"message\":");
        } else {
            self.second.write(&mut self.text, 3);
            // Writing to a string does not fail.
            let _ = write!(self.text, " {level:5} ");
        }
    }

    /// Where it comes from.
    fn end(&mut self, target: impl FnOnce(&mut String, LogFormat)) {
        let is_json = self.format == LogFormat::Json;
        let before = if is_json { ",\"target\":" } else { " (" };
        self.text.push_str(before);
        target(&mut self.text, self.format);
        self.text.push_str(if is_json { "}\n" } else { ")\n" });
    }

    /// The event's; of one that has none its innermost span's.
    fn message<S>(&mut self, event: &Event<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        if let Some(message) = self.own.get("message") {
            return self.text.push_str(message);
        }
        for span in ctx.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            let carried = extensions.get::<Carried>();
            if let Some(message) = carried.and_then(|carried| carried.fields.get("message")) {
                return self.text.push_str(message);
            }
        }
        self.text.push_str("null");
    }

    /// The event's own, then those of its spans from the innermost outwards, then the trace's id.
    fn fields<S>(&mut self, event: &Event<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let Self {
            format,
            own,
            text,
            names,
            ..
        } = self;
        let mut put = |name: &'static str, value: &str| {
            if !is_written_elsewhere(*format, name) && !names.contains(&name) {
                names.push(name);
                label(text, *format, name);
                text.push_str(value);
            }
        };
        let of_log = own.get("log.target").is_some();
        for (name, value) in own.iter() {
            // A record's place in a file goes, as with every other event.
            if !(of_log && name.starts_with("log.")) {
                put(name, value);
            }
        }
        for span in ctx.event_scope(event).into_iter().flatten() {
            if let Some(carried) = span.extensions().get::<Carried>() {
                let fields = carried.fields.iter();
                fields.for_each(|(name, value)| put(name, value));
            }
        }
        if !names.contains(&"trace_id")
            && let Some(trace) = crate::trace::active_trace()
        {
            label(text, *format, "trace_id");
            escape::text(text, *format, trace.as_str());
        }
    }
}

/// What a line has in a place of its own.
fn is_written_elsewhere(format: LogFormat, name: &str) -> bool {
    let of_json = ["timestamp", "level", "target"];
    name == "message" || format == LogFormat::Json && of_json.contains(&name)
}

/// What stands before a field's value.
fn label(text: &mut String, format: LogFormat, name: &str) {
    if format == LogFormat::Json {
        text.push_str(",\"");
        escape::part(text, format, name);
        text.push_str("\":");
    } else {
        text.push(' ');
        text.push_str(name);
        text.push('=');
    }
}

#[cfg(test)]
mod tests;
