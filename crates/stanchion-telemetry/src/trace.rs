//! The W3C trace context: taken over, passed on, kept as text.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::late;
pub use crate::late::{First, Place, Tells};
use crate::lines::{Lines, Wanted};
use crate::unrecorded;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The longest `tracestate` that is passed on, in bytes; a longer one is dropped.
const TRACESTATE_MAX: usize = 512;

/// Where in which trace something happens; its text is a `traceparent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: TraceId,
    span: SpanId,
    sampled: bool,
    state: Option<String>,
}

/// Text that is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent")]
pub struct BadTraceContext;

impl TraceContext {
    /// Reads the two headers of W3C Trace Context; an unknown version or zero ids are none.
    #[must_use]
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let mut parts = traceparent.trim().split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lower = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
        };
        let formed =
            version.len() == 2 && trace.len() == 32 && span.len() == 16 && flags.len() == 2;
        let all_lower = [version, trace, span, flags].into_iter().all(lower);
        let ended = version != "00" || parts.next().is_none();
        if !formed || !all_lower || version == "ff" || !ended {
            return None;
        }
        let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
        if trace == TraceId::INVALID || span == SpanId::INVALID {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).ok()?;
        let state = tracestate.filter(|state| !state.is_empty() && state.len() <= TRACESTATE_MAX);
        Some(Self {
            trace,
            span,
            sampled: flags & 1 == 1,
            state: state.map(str::to_owned),
        })
    }

    /// The trace's id, 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        self.trace.to_string()
    }

    /// The `tracestate` that came along.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    fn of(context: &SpanContext) -> Option<Self> {
        let state = context.trace_state().header();
        context.is_valid().then(|| Self {
            trace: context.trace_id(),
            span: context.span_id(),
            sampled: context.is_sampled(),
            state: (!state.is_empty()).then_some(state),
        })
    }

    fn to_remote(&self) -> SpanContext {
        let flags = if self.sampled {
            TraceFlags::SAMPLED
        } else {
            TraceFlags::default()
        };
        SpanContext::new(self.trace, self.span, flags, true, self.otel_state())
    }

    fn otel_state(&self) -> TraceState {
        let state = self.state.as_deref();
        let state = state.and_then(|state| TraceState::from_str(state).ok());
        state.unwrap_or_default()
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{}-{}-{:02x}",
            self.trace,
            self.span,
            u8::from(self.sampled)
        )
    }
}

impl FromStr for TraceContext {
    type Err = BadTraceContext;

    fn from_str(text: &str) -> Result<Self, BadTraceContext> {
        Self::parse(text, None).ok_or(BadTraceContext)
    }
}

/// The context of the current span; `None` outside of one, or before [`init`](crate::init).
#[must_use]
pub fn current() -> Option<TraceContext> {
    if let Some(context) = late::current(TraceContext::of) {
        return context;
    }
    if unrecorded::is_within() {
        return Context::map_current(|context| TraceContext::of(context.span().span_context()));
    }
    TraceContext::of(Span::current().context().span().span_context())
}

/// The id of the current trace.
#[must_use]
pub fn trace_id() -> Option<String> {
    if unrecorded::is_within() {
        return active_trace().map(|trace| trace.as_str().to_owned());
    }
    current().map(|context| context.trace_id())
}

/// Makes the first span of some work: in the trace of whoever asked for it, or the beginning of a new one.
///
/// What is not sampled is not recorded: of a trace that began elsewhere its caller says so, of one that begins here the
/// share in the settings (none without an endpoint). Such a span costs little, and its ids are in lines and in calls to
/// others all the same. `span` makes one span; call this before anything of the work runs.
pub fn begin(parent: Option<&TraceContext>, span: impl FnOnce() -> Span) -> Span {
    if is_taken(parent) {
        return recorded(parent, span);
    }
    unrecorded::beginning(ids(parent), None, span)
}

/// The same, and the span of what is not recorded is made when somebody needs it: an event or a span within it, a task
/// that is begun there, whoever asks for the current span. Where nobody does, there is none.
///
/// It has the ids all the same. `place` belongs to the one place that makes such spans, and `tells` has the fields that
/// `span` would give it, as far as lines of the log show them.
pub fn first<T: Tells + 'static>(
    place: &'static Place,
    parent: Option<&TraceContext>,
    tells: &Arc<T>,
    span: impl FnOnce() -> Span,
) -> First {
    if is_taken(parent) {
        return First::made(recorded(parent, span));
    }
    let context = ids(parent);
    if let Some(metadata) = place.metadata()
        && late::may_be()
    {
        return First::late(metadata, context, Arc::clone(tells) as Arc<dyn Tells>);
    }
    let span = unrecorded::beginning(context, None, span);
    place.learn(&span);
    First::made(span)
}

/// Whether a trace is recorded here.
fn is_taken(parent: Option<&TraceContext>) -> bool {
    let of_lines = |lines: &Wanted| match parent {
        Some(parent) => parent.sampled,
        None => lines.share.takes(),
    };
    tracing::dispatcher::get_default(|dispatch| {
        // Somebody's own subscriber decides for itself.
        Lines::of(dispatch).is_none_or(of_lines)
    })
}

fn recorded(parent: Option<&TraceContext>, span: impl FnOnce() -> Span) -> Span {
    let Some(parent) = parent else {
        return unrecorded::taken(span);
    };
    let span = span();
    continue_from(&span, parent);
    span
}

/// The ids of what is not recorded.
fn ids(parent: Option<&TraceContext>) -> SpanContext {
    unrecorded::ids(parent.map(|parent| (parent.trace, parent.otel_state())))
}

/// Whether what is said of the current span reaches anybody: attributes of an unrecorded one need not be made.
#[must_use]
pub fn is_recorded() -> bool {
    !unrecorded::is_within()
}

/// Makes `span` part of a trace that began elsewhere. Call it before the span is entered.
pub fn continue_from(span: &Span, context: &TraceContext) {
    let parent = Context::new().with_remote_span_context(context.to_remote());
    // A span that has started already, or that nobody records, keeps the parent it has.
    let _ = span.set_parent(parent);
}

/// Gives a span that has begun another name for tracing backends: what it is about may be known later.
pub fn rename(span: &Span, name: String) {
    span.context().span().update_name(name);
}

/// Adds the current context to the headers of an outgoing request.
pub fn inject(headers: &mut HeaderMap) {
    let Some(context) = current() else {
        return;
    };
    if let Ok(parent) = HeaderValue::from_str(&context.to_string()) {
        headers.insert(TRACEPARENT, parent);
    }
    let state = context
        .state()
        .and_then(|state| HeaderValue::from_str(state).ok());
    if let Some(state) = state {
        headers.insert(TRACESTATE, state);
    }
}

/// The context that came with a request; two `traceparent` headers are none, several `tracestate` are one.
#[must_use]
pub fn extract(headers: &HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let parent = parents.next().filter(|_| parents.next().is_none())?;
    let states = headers.get_all(TRACESTATE).iter();
    let states: Vec<_> = states.filter_map(|state| state.to_str().ok()).collect();
    TraceContext::parse(parent.to_str().ok()?, Some(&states.join(",")))
}

/// A trace's id as text, without memory of its own.
pub(crate) struct Hex([u8; 32]);

impl Hex {
    pub(crate) fn as_str(&self) -> &str {
        // They are digits all.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// As `to_string`, which takes the long way round: every line has one.
fn hex(trace: TraceId) -> Hex {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    let bytes = trace.to_bytes();
    for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
    }
    Hex(text)
}

/// The trace that the current thread works in, without asking the subscriber: for log lines.
pub(crate) fn active_trace() -> Option<Hex> {
    if let Some(trace) = late::current(SpanContext::trace_id) {
        return Some(hex(trace));
    }
    Context::map_current(|context| {
        let span = context.span();
        let context = span.span_context();
        context.is_valid().then(|| hex(context.trace_id()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_reads_back_as_it_was_written() {
        assert_eq!(PARENT.parse::<TraceContext>().unwrap().to_string(), PARENT);
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        let zero_trace = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let upper = "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01";
        let more = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what";
        for text in [
            "",
            "00",
            "ff-4bf9-00f0-01",
            zero_trace,
            upper,
            more,
            "00-é-1-2",
        ] {
            assert_eq!(text.parse::<TraceContext>(), Err(BadTraceContext), "{text}");
        }
    }
    #[test]
    fn a_trace_goes_on_with_its_sampling_and_state() {
        let _logged = crate::testing::capture();
        for flags in ["01", "00"] {
            let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            let mut incoming = HeaderMap::new();
            incoming.insert(TRACEPARENT, parent.parse().unwrap());
            incoming.append(TRACESTATE, "a=1".parse().unwrap());
            incoming.append(TRACESTATE, "b=2".parse().unwrap());
            let span = tracing::info_span!("request");
            continue_from(&span, &extract(&incoming).unwrap());

            let mut outgoing = HeaderMap::new();
            span.in_scope(|| inject(&mut outgoing));
            let sent = outgoing[TRACEPARENT].to_str().unwrap();
            assert_eq!((&sent[..36], &sent[52..]), (&parent[..36], &parent[52..]));
            assert_ne!(sent, parent, "the span of this service comes between");
            assert_eq!(outgoing[TRACESTATE], "a=1,b=2");
        }
    }

    #[test]
    fn an_unrecorded_span_has_ids_like_any_other() {
        let logged = crate::testing::capture();
        let parent: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
            .parse()
            .unwrap();
        for parent in [Some(&parent), None] {
            let span = begin(parent, || tracing::info_span!("request"));
            assert!(
                is_recorded() && current().is_none(),
                "it is not entered yet"
            );
            let inner = span.in_scope(|| {
                assert!(!is_recorded());
                let ours = current().unwrap();
                assert!(!ours.sampled);
                if let Some(parent) = parent {
                    assert_eq!(ours.trace, parent.trace);
                    assert_ne!(ours.span, parent.span, "this service comes between");
                }
                let inner = tracing::info_span!("inner");
                inner.in_scope(|| assert_eq!(current().as_ref(), Some(&ours)));
                assert_eq!(current(), Some(ours.clone()), "the inner one is left");
                (inner, ours)
            });
            assert!(is_recorded());
            // Work that goes on elsewhere, in a span from within.
            inner.0.in_scope(|| {
                tracing::info!("later");
                assert_eq!(trace_id(), Some(inner.1.trace_id()));
            });
            let lines = logged.lines();
            let last = lines.last().unwrap();
            assert_eq!(last["trace_id"], *inner.1.trace_id());
        }
    }

    #[test]
    fn a_span_of_a_sampled_trace_is_recorded() {
        let _logged = crate::testing::capture();
        let parent: TraceContext = PARENT.parse().unwrap();
        let span = begin(Some(&parent), || tracing::info_span!("request"));
        span.in_scope(|| {
            assert!(is_recorded());
            let ours = current().unwrap();
            assert_eq!((ours.trace, ours.sampled), (parent.trace, true));
            assert_ne!(ours.span, parent.span);
        });
    }

    #[test]
    fn without_our_subscriber_a_span_is_what_it_was() {
        let span = begin(None, || tracing::info_span!("request"));
        assert!(span.is_disabled() && current().is_none());
    }

    #[test]
    fn details_that_nobody_wants_are_not_made() {
        let _logged = crate::testing::capture_as(crate::LogFormat::Json, "info");
        for span in [
            tracing::trace_span!("frame"),
            tracing::debug_span!("stream"),
        ] {
            assert!(span.is_disabled());
        }
        assert!(!tracing::enabled!(tracing::Level::DEBUG));
        assert!(!tracing::info_span!("request").is_disabled());
    }

    #[test]
    fn a_trace_in_a_line_is_written_as_elsewhere() {
        let trace = PARENT.parse::<TraceContext>().unwrap().trace;
        assert_eq!(hex(trace).as_str(), trace.to_string());
    }

    #[test]
    fn two_parents_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, PARENT.parse().unwrap());
        assert!(extract(&headers).is_some());
        headers.append(TRACEPARENT, PARENT.parse().unwrap());
        assert_eq!(extract(&headers), None);
    }

    #[test]
    fn without_a_span_or_a_subscriber_there_is_no_trace() {
        assert_eq!(current(), None);
        tracing::info_span!("nobody listens").in_scope(|| assert_eq!(trace_id(), None));
        let _logged = crate::testing::capture();
        assert_eq!(current(), None);
        let mut headers = HeaderMap::new();
        inject(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn a_span_in_a_span_is_in_its_trace() {
        let _logged = crate::testing::capture();
        tracing::info_span!("outer").in_scope(|| {
            let outer = trace_id();
            assert_eq!(outer.as_ref().map(String::len), Some(32));
            tracing::info_span!("inner").in_scope(|| assert_eq!(trace_id(), outer));
        });
    }
}
