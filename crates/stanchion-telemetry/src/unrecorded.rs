//! Traces that nobody records: their spans cost next to nothing, and still have ids.
//!
//! Most requests are of this kind: there is no collector, or only a share is sent to it. Their spans are kept from the
//! layer that would gather times and attributes for the exporter; lines, and calls to others, have the trace's id all
//! the same, and whatever begins within them is not recorded either.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, ContextGuard, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};
use tracing::span::Id;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Span};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{self, Filter};

use crate::late::{self, Late};

thread_local! {
    /// What the span that is being made belongs to.
    static BEGINNING: Cell<Option<Beginning>> = const { Cell::new(None) };
    /// A span is being made that the sampler has to take.
    static TAKEN: Cell<bool> = const { Cell::new(false) };
    /// The unrecorded spans that this thread is in.
    static WITHIN: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

/// An unrecorded trace whose first span is being made.
pub(crate) struct Beginning {
    pub(crate) context: Context,
    /// Of a span that was not made before: it has the fields.
    pub(crate) late: Option<Arc<Late>>,
}

/// Whether nothing that begins now is recorded.
pub(crate) fn is_within() -> bool {
    late::is_within() || WITHIN.with_borrow(|within| !within.is_empty())
}

/// Whether this thread is in the first span of an unrecorded trace, and in no other.
pub(crate) fn is_alone() -> bool {
    // One that is not made yet has none around it, and nothing was entered within.
    late::is_within() || WITHIN.with_borrow(|within| matches!(&within[..], [only] if only.is_alone))
}

/// Makes a span of an unrecorded trace.
pub(crate) fn beginning<T>(
    context: SpanContext,
    late: Option<Arc<Late>>,
    span: impl FnOnce() -> T,
) -> T {
    let context = Context::new().with_remote_span_context(context);
    let before = BEGINNING.replace(Some(Beginning { context, late }));
    let span = span();
    BEGINNING.set(before);
    span
}

/// The ids of an unrecorded span: new ones, or within the trace of its caller.
pub(crate) fn ids(trace: Option<(TraceId, TraceState)>) -> SpanContext {
    let random = stanchion_runtime::random::bytes::<24>();
    let (ours, span) = random.split_at(16);
    let part = |bytes: &[u8]| bytes.try_into().unwrap_or_default();
    // Zero stands for no id.
    let span = u64::from_ne_bytes(part(span)).max(1);
    let (trace, state) = trace.unwrap_or_else(|| {
        let trace = ours
            .iter()
            .fold(0, |id: u128, byte| id << 8 | u128::from(*byte));
        (TraceId::from(trace.max(1)), TraceState::NONE)
    });
    SpanContext::new(
        trace,
        SpanId::from(span),
        TraceFlags::default(),
        false,
        state,
    )
}

/// Makes the first span of a trace that is recorded, whatever the share.
pub(crate) fn taken(span: impl FnOnce() -> Span) -> Span {
    use tracing_opentelemetry::OpenTelemetrySpanExt;
    let before = TAKEN.replace(true);
    let span = span();
    // Asked for its context, it begins here and now.
    let _ = span.context();
    TAKEN.set(before);
    span
}

/// Takes a share of the traces that begin here; those that began elsewhere go on as they began.
#[derive(Clone, Debug)]
pub(crate) struct Share(pub(crate) f64);

impl Share {
    /// Whether the next one is taken.
    pub(crate) fn takes(&self) -> bool {
        if self.0 <= 0.0 || self.0 >= 1.0 {
            return self.0 > 0.0;
        }
        let random = u32::from_ne_bytes(stanchion_runtime::random::bytes());
        f64::from(random) / f64::from(u32::MAX) < self.0
    }
}

impl ShouldSample for Share {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let share = if TAKEN.get() { 1.0 } else { self.0 };
        let roots = Box::new(Sampler::TraceIdRatioBased(share));
        Sampler::ParentBased(roots).should_sample(parent, trace, name, kind, attributes, links)
    }
}

/// Keeps what is not recorded from the layer that records.
pub(crate) struct Recorded;

impl<S> Filter<S> for Recorded {
    fn enabled(&self, metadata: &Metadata<'_>, _: &layer::Context<'_, S>) -> bool {
        let begins = || {
            let beginning = BEGINNING.take();
            let begins = beginning.is_some();
            BEGINNING.set(beginning);
            begins
        };
        *metadata.level() <= Level::INFO && !is_within() && !begins()
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if *metadata.level() <= Level::INFO {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}

/// A span's part of an unrecorded trace.
#[derive(Clone)]
pub(crate) struct Unrecorded {
    context: Context,
    /// It is the trace's first span here, and there is none around it.
    is_alone: bool,
}

/// A span that this thread is in.
struct Entered {
    id: Id,
    is_alone: bool,
    _current: ContextGuard,
}

/// What the span that is being made belongs to; only the first one that asks is told.
pub(crate) fn take_beginning() -> Option<Beginning> {
    BEGINNING.take()
}

impl Unrecorded {
    pub(crate) fn beginning(context: Context, is_alone: bool) -> Self {
        Self { context, is_alone }
    }

    /// The part of a span within this one.
    pub(crate) fn within(&self) -> Self {
        Self::beginning(self.context.clone(), false)
    }

    pub(crate) fn enter(self, id: &Id) {
        let entered = Entered {
            id: id.clone(),
            is_alone: self.is_alone,
            _current: self.context.attach(),
        };
        WITHIN.with_borrow_mut(|within| within.push(entered));
    }
}

pub(crate) fn exit(id: &Id) {
    let left = WITHIN.with_borrow_mut(|within| {
        let last = within.iter().rposition(|entered| entered.id == *id)?;
        Some(within.remove(last))
    });
    drop(left);
}
