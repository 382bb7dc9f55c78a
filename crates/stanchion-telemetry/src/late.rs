//! First spans of unrecorded work that are made when somebody needs them.
//!
//! Most requests are not recorded, and all that most of those say is a line of the log, which is written without an
//! event. To make, enter, leave and close a span for that costs a quarter of what a small request takes. Whoever could
//! tell the difference asks the subscriber first: an event, another span, the current span of a task that is begun. So
//! the subscriber makes it then, on this thread and in its place.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use opentelemetry::trace::SpanContext;
use tracing::field::{Field, Value};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Span, Subscriber, dispatcher};
use tracing_core::dispatcher::WeakDispatch;
use tracing_core::span::Current;
use tracing_subscriber::filter::{FilterId, LevelFilter};
use tracing_subscriber::layer::{self, Filter};
use tracing_subscriber::registry::LookupSpan;

use crate::lines::Lines;
use crate::unrecorded;

thread_local! {
    /// The work that this thread is in, and in nothing within it, while it has no span.
    static WITHIN: RefCell<Option<Arc<Late>>> = const { RefCell::new(None) };
}

/// Has the fields of a span that may be made late, as lines of the log show them.
pub trait Tells: Send + Sync {
    /// Names each field with its text.
    fn tell(&self, field: &mut dyn FnMut(&'static str, &str));
}

/// A place of the program that makes first spans: what it needs to know to make one later. A `static`.
#[derive(Debug, Default)]
pub struct Place(OnceLock<&'static Metadata<'static>>);

/// The first span of some work, made or still to be made; clones are the same one.
#[derive(Clone, Debug)]
pub struct First(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Made(Span),
    Late(Arc<Late>),
}

/// A span that is made when somebody needs it.
pub(crate) struct Late {
    metadata: &'static Metadata<'static>,
    context: SpanContext,
    tells: Arc<dyn Tells>,
    made: OnceLock<Made>,
}

/// The span of a [`Late`].
struct Made {
    id: Id,
    /// Whose it is.
    dispatch: Dispatch,
}

/// This thread, within some work.
struct Within<'l> {
    late: &'l Arc<Late>,
    /// It had its span before.
    was_made: bool,
    /// What this thread was in.
    before: Option<Arc<Late>>,
}

impl Place {
    /// One that has made none yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    pub(crate) fn metadata(&self) -> Option<&'static Metadata<'static>> {
        self.0.get().copied()
    }

    /// From the first span that was made there.
    pub(crate) fn learn(&self, span: &Span) {
        if let Some(metadata) = span.metadata() {
            let _known = self.0.set(metadata);
        }
    }
}

impl First {
    pub(crate) fn made(span: Span) -> Self {
        Self(Kind::Made(span))
    }

    pub(crate) fn late(
        metadata: &'static Metadata<'static>,
        context: SpanContext,
        tells: Arc<dyn Tells>,
    ) -> Self {
        let late = Late {
            metadata,
            context,
            tells,
            made: OnceLock::new(),
        };
        Self(Kind::Late(Arc::new(late)))
    }

    /// The span that is current now, if there is one.
    #[must_use]
    pub fn current() -> Self {
        Self::made(Span::current())
    }

    /// Does `work` within the span.
    pub fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.0 {
            Kind::Made(span) => span.in_scope(work),
            Kind::Late(late) => {
                let _within = Within::enter(late);
                work()
            }
        }
    }
}

impl Late {
    /// Names its fields.
    pub(crate) fn tell(&self, field: &mut dyn FnMut(&'static str, &str)) {
        self.tells.tell(field);
    }
}

impl std::fmt::Debug for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Late").finish_non_exhaustive()
    }
}

/// Whether this thread is in work that has no span yet.
pub(crate) fn is_within() -> bool {
    WITHIN.with_borrow(Option::is_some)
}

/// The ids of that work.
pub(crate) fn current<T>(of: impl FnOnce(&SpanContext) -> T) -> Option<T> {
    WITHIN.with_borrow(|within| within.as_ref().map(|late| of(&late.context)))
}

/// Whether what begins now may be without a span: nothing is around it that would be the span's parent.
pub(crate) fn may_be() -> bool {
    let has_none = |dispatch: &Dispatch| dispatch.current_span().id().is_none();
    !unrecorded::is_within() && dispatcher::get_default(has_none)
}

impl<'l> Within<'l> {
    fn enter(late: &'l Arc<Late>) -> Self {
        let (mut was_made, mut before) = (false, None);
        match late.made.get() {
            Some(made) => {
                made.dispatch.enter(&made.id);
                was_made = true;
            }
            None => before = WITHIN.replace(Some(Arc::clone(late))),
        }
        Self {
            late,
            was_made,
            before,
        }
    }
}

impl Drop for Within<'_> {
    fn drop(&mut self) {
        // Taken out by whoever made the span on this thread, and entered it.
        let is_entered = self.was_made || WITHIN.replace(self.before.take()).is_none();
        if is_entered && let Some(made) = self.late.made.get() {
            made.dispatch.exit(&made.id);
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        self.dispatch.try_close(self.id.clone());
    }
}

/// A subscriber that makes the span of the work that this thread is in before anybody can miss it.
pub(crate) struct Lately<S> {
    inner: S,
    /// Itself.
    dispatch: OnceLock<WeakDispatch>,
}

impl<S: Subscriber> Lately<S> {
    pub(crate) fn new(inner: S) -> Self {
        let dispatch = OnceLock::new();
        Self { inner, dispatch }
    }

    /// Makes the span that is missing here, and enters it.
    fn make(&self) {
        // Taken out first: whatever is asked of the subscriber meanwhile finds nothing to be made.
        if let Some(late) = WITHIN.take() {
            let made = late.made.get_or_init(|| self.made(&late));
            self.inner.enter(&made.id);
        }
    }

    fn made(&self, late: &Arc<Late>) -> Made {
        let none: [(&Field, Option<&dyn Value>); 0] = [];
        let values = late.metadata.fields().value_set(&none);
        let attributes = Attributes::new(late.metadata, &values);
        let id = unrecorded::beginning(late.context.clone(), Some(Arc::clone(late)), || {
            // Filters tell by this which layers see it.
            self.inner.enabled(late.metadata);
            self.inner.new_span(&attributes)
        });
        let dispatch = self.dispatch.get().and_then(WeakDispatch::upgrade);
        let dispatch = dispatch.unwrap_or_else(Dispatch::none);
        Made { id, dispatch }
    }
}

impl<S: Subscriber> Subscriber for Lately<S> {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _first = self.dispatch.set(dispatch.downgrade());
        self.inner.on_register_dispatch(dispatch);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.inner.register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_enabled = self.inner.enabled(metadata);
        if is_enabled && is_within() {
            self.make();
            // Filters remember their last answer, which was about the span.
            return self.inner.enabled(metadata);
        }
        is_enabled
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.inner.max_level_hint()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.make();
        self.inner.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.inner.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.inner.record_follows_from(span, follows);
    }

    fn event_enabled(&self, event: &Event<'_>) -> bool {
        self.inner.event_enabled(event)
    }

    fn event(&self, event: &Event<'_>) {
        self.make();
        self.inner.event(event);
    }

    fn enter(&self, span: &Id) {
        self.make();
        self.inner.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.inner.exit(span);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.inner.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        self.inner.try_close(id)
    }

    fn current_span(&self) -> Current {
        self.make();
        self.inner.current_span()
    }
}

impl<'s, S: LookupSpan<'s>> LookupSpan<'s> for Lately<S> {
    type Data = S::Data;

    fn span_data(&'s self, id: &Id) -> Option<Self::Data> {
        self.inner.span_data(id)
    }

    fn register_filter(&mut self) -> FilterId {
        self.inner.register_filter()
    }
}

/// Keeps everything from a layer; by it our own subscriber is known.
pub(crate) struct Nothing(pub(crate) Lines);

impl<S> Filter<S> for Nothing {
    fn enabled(&self, _: &Metadata<'_>, _: &layer::Context<'_, S>) -> bool {
        false
    }

    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::never()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }
}

#[cfg(test)]
mod tests;
