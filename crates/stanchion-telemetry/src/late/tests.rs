use tracing::{info, info_span};

use super::*;
use crate::testing::{Captured, capture};
use crate::trace::{self, TraceContext};

struct Request(&'static str);

impl Tells for Request {
    fn tell(&self, field: &mut dyn FnMut(&'static str, &str)) {
        field("request_id", self.0);
    }
}

const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// Work whose span is made at once the first time, so that a later one need not be.
fn first(id: &'static str, parent: Option<&TraceContext>) -> First {
    static PLACE: Place = Place::new();
    let tells = Arc::new(Request(id));
    let span = || info_span!("request", request_id = id, http.route = "/");
    let _known = trace::first(&PLACE, parent, &tells, span);
    trace::first(&PLACE, parent, &tells, span)
}

fn late(first: &First) -> &Late {
    match &first.0 {
        Kind::Late(late) => late,
        Kind::Made(span) => panic!("{span:?} is made already"),
    }
}

fn is_made(first: &First) -> bool {
    late(first).made.get().is_some()
}

fn field(logged: &Captured, line: usize, name: &str) -> String {
    logged.lines()[line][name]
        .as_str()
        .unwrap_or("none")
        .to_owned()
}

#[test]
fn who_needs_no_span_has_none_and_its_ids_all_the_same() {
    let _logged = capture();
    let parent: TraceContext = UNSAMPLED.parse().unwrap();
    for parent in [Some(&parent), None] {
        let first = first("r-1", parent);
        let within = first.in_scope(|| {
            assert!(!trace::is_recorded());
            (trace::current().unwrap(), trace::trace_id().unwrap())
        });
        assert_eq!(within.0.trace_id(), within.1);
        if let Some(parent) = parent {
            assert_eq!(parent.trace_id(), within.1);
            assert_ne!(parent.to_string(), within.0.to_string());
        }
        assert!(!is_made(&first));
        assert_eq!((trace::current(), trace::trace_id()), (None, None));
    }
}

#[test]
fn an_event_has_the_fields_and_the_trace_of_the_span_that_it_needs() {
    let logged = capture();
    let first = first("r-1", None);
    let trace = first.in_scope(|| {
        let trace = trace::trace_id().unwrap();
        info!("one");
        assert_eq!(trace::trace_id().as_ref(), Some(&trace));
        trace
    });
    assert!(is_made(&first));
    first.in_scope(|| info!(step = 2, "two"));
    info!("outside");
    for line in [0, 1] {
        assert_eq!(field(&logged, line, "request_id"), "r-1");
        assert_eq!(field(&logged, line, "trace_id"), trace);
        assert!(logged.lines()[line].get("http.route").is_none());
    }
    assert_eq!(field(&logged, 2, "request_id"), "none");
    assert_eq!(field(&logged, 2, "trace_id"), "none");
}

#[test]
fn a_span_within_is_its_child_and_what_is_logged_there_has_both() {
    let logged = capture();
    let first = first("r-1", None);
    let (inner, trace) = first.in_scope(|| (info_span!("inner", step = 1), trace::trace_id()));
    inner.in_scope(|| info!("later, elsewhere"));
    assert_eq!(field(&logged, 0, "request_id"), "r-1");
    assert_eq!(Some(field(&logged, 0, "trace_id")), trace);
    assert_eq!(logged.lines()[0]["step"], 1);
}

#[test]
fn whoever_asks_for_the_current_span_keeps_the_request_for_later() {
    let logged = capture();
    let first = first("r-1", None);
    let (span, trace) = first.in_scope(|| (Span::current(), trace::trace_id()));
    assert!(!span.is_disabled());
    drop(first);
    span.in_scope(|| info!("in a task that goes on"));
    assert_eq!(field(&logged, 0, "request_id"), "r-1");
    assert_eq!(Some(field(&logged, 0, "trace_id")), trace);
    span.in_scope(|| assert_eq!(Span::current().id(), span.id()));
}

#[test]
fn a_span_that_is_entered_within_is_left_to_the_request() {
    let logged = capture();
    let other = info_span!("other", other = true);
    let first = first("r-1", None);
    first.in_scope(|| {
        other.in_scope(|| info!("in another"));
        info!("in the request");
    });
    assert_eq!(logged.lines()[0]["other"], true);
    assert_eq!(field(&logged, 1, "request_id"), "r-1");
    assert!(logged.lines()[1].get("other").is_none());
}

#[test]
fn one_request_polled_within_another_keeps_its_own_ids() {
    let logged = capture();
    let (one, two) = (first("r-1", None), first("r-2", None));
    one.in_scope(|| {
        two.in_scope(|| info!("of two"));
        info!("of one");
    });
    two.in_scope(|| one.in_scope(|| info!("of one")));
    let ids = [0, 1, 2].map(|line| field(&logged, line, "request_id"));
    assert_eq!(ids, ["r-2", "r-1", "r-1"]);
    let traces = [0, 1, 2].map(|line| field(&logged, line, "trace_id"));
    assert_ne!(traces[0], traces[1]);
    assert_eq!(traces[1], traces[2]);
}

#[test]
fn what_begins_within_something_has_its_span_at_once() {
    let _logged = capture();
    let outer = info_span!("outer");
    let within = outer.in_scope(|| first("r-1", None));
    assert!(matches!(within.0, Kind::Made(_)));
    let within = first("r-1", None).in_scope(|| first("r-2", None));
    assert!(matches!(within.0, Kind::Made(_)));
}

#[test]
fn a_panic_leaves_the_thread_as_it_was() {
    let logged = capture();
    let first = first("r-1", None);
    for is_made_before in [false, true] {
        let work = || {
            if is_made_before {
                info!("made");
            }
            panic!("out of luck")
        };
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            first.in_scope::<()>(work);
        }));
        assert!(panicked.is_err());
        assert!(!is_within() && trace::trace_id().is_none() && Span::current().is_none());
    }
    drop(logged);
}

#[test]
fn two_threads_in_one_request_make_one_span() {
    let subscriber = Dispatch::new(crate::testing::silent());
    let first = dispatcher::with_default(&subscriber, || first("r-1", None));
    let made = || dispatcher::with_default(&subscriber, || first.in_scope(|| Span::current().id()));
    let [one, two] = std::thread::scope(|scope| {
        let threads = [scope.spawn(made), scope.spawn(made)];
        threads.map(|thread| thread.join().unwrap())
    });
    assert!(one.is_some());
    assert_eq!(one, two);
}
