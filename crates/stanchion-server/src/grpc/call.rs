use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{self, Poll, Waker};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName};
use http_body::{Body as HttpBody, Frame};
use parking_lot::Mutex;
use stanchion_runtime::task::{Task, panic_text, spawn, spawn_apart};
use stanchion_telemetry::trace::First;
use tokio::time::sleep;
use tonic::{Code, Status};

use super::cut::cut;
use super::detailed;
use super::untaken::{Turns, untaken};
use crate::Problem;
use crate::context::Context;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Whether it is a gRPC call or its answer.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    // Answers have a few headers and this one first: to walk there is shorter than a search.
    let kind = headers.iter().find(|(name, _)| **name == CONTENT_TYPE);
    kind.is_some_and(|(_, kind)| is_grpc_type(kind.as_bytes()))
}

/// The same of a content type.
pub(crate) fn is_grpc_type(kind: &[u8]) -> bool {
    let rest = kind.strip_prefix(b"application/grpc");
    // Not gRPC-Web, which is another protocol.
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// What a head that is the whole answer says came of the call.
pub(crate) fn outcome(headers: &HeaderMap) -> Option<Code> {
    headers
        .get(GRPC_STATUS)
        .map(|status| Code::from_bytes(status.as_bytes()))
}

/// How long a call may go on before somebody is there to cut it off.
const FRESH_FOR: Duration = Duration::from_millis(5);

type Ended = Box<dyn FnOnce(Code) + Send>;
type Polled = Poll<Option<Result<Frame<Bytes>, axum::Error>>>;

/// The messages of an answer, up to the status behind them. It ends at the deadline, with the caller's token and with the
/// service, in gRPC's own words; what came of it is told once. Dropped before its end, the client went away.
pub(crate) struct Call(Arc<Shared>);

/// What the call and whoever cuts it off have in common.
struct Shared {
    state: Mutex<State>,
    /// Both current again whenever the messages' maker runs: it runs after the handler has returned.
    context: Arc<Context>,
    first: First,
}

enum State {
    Open(Open),
    /// Over before its end; the client has yet to be told.
    Cut(Status),
    Over,
}

/// What a call holds while it goes on.
struct Open {
    body: Body,
    ended: Ended,
    turns: Turns,
    /// Waits for the next message.
    reader: Option<Waker>,
    /// Ends the call although nobody asks for its next message: a client that reads nothing is not polled for.
    cutter: Option<Task<()>>,
}

/// Calls whose answer has just begun. Most are over a moment later, and need nobody to cut them off.
#[derive(Debug, Default)]
pub(crate) struct Fresh(Mutex<Vec<Weak<Shared>>>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Fresh {
    /// Has the call cut off when its time is over, unless it has ended in a moment.
    fn add(self: &Arc<Self>, call: &Arc<Shared>) {
        let mut fresh = self.0.lock();
        fresh.push(Arc::downgrade(call));
        if fresh.len() == 1 {
            // One task for all that begin before it looks. At once it would find each call by itself: a task that was
            // just begun is the next to run.
            let all = Arc::clone(self);
            let watch = async move {
                sleep(FRESH_FOR).await;
                all.watch();
            };
            drop(spawn_apart("grpc cutters", watch));
        }
    }

    fn watch(&self) {
        let fresh = mem::take(&mut *self.0.lock());
        for call in fresh.iter().filter_map(Weak::upgrade) {
            if let State::Open(open) = &mut *call.state.lock() {
                let cutter = || spawn("grpc cutter", cut_off(Arc::clone(&call)));
                open.cutter = Some(call.first.in_scope(cutter));
            }
        }
    }
}

impl Call {
    /// Takes the answer's body over, whose messages are made within the request's span; `ended` is called within it too.
    pub(crate) fn watch(
        response: Response,
        context: Arc<Context>,
        first: First,
        ended: impl FnOnce(Code) + Send + 'static,
    ) -> Response {
        response.map(|body| {
            let state = State::Open(Open {
                body,
                ended: Box::new(ended),
                turns: Turns::default(),
                reader: None,
                cutter: None,
            });
            let shared = Arc::new(Shared {
                state: Mutex::new(state),
                context,
                first,
            });
            shared.context.lent.fresh_calls.add(&shared);
            Body::new(Self(shared))
        })
    }

    /// Nobody has to cut it any more; told if nobody was.
    fn end(state: State, code: Code) {
        if let State::Open(open) = state {
            open.cutter.inspect(Task::abort);
            (open.ended)(code);
        }
    }

    /// The next frame, within the request's span and context.
    fn poll(&self, context: &mut task::Context<'_>) -> Polled {
        let mut state = self.0.state.lock();
        let (frame, code) = match &mut *state {
            State::Over => return Poll::Ready(None),
            State::Cut(status) => {
                let frame = Frame::trailers(trailers(status));
                *state = State::Over;
                return Poll::Ready(Some(Ok(frame)));
            }
            State::Open(open) => match open.poll(context) {
                Ok(Poll::Pending) => {
                    open.reader = Some(context.waker().clone());
                    return Poll::Pending;
                }
                Ok(Poll::Ready(mut frame)) => {
                    let code = last(&mut frame);
                    (frame, code)
                }
                Err(payload) => {
                    self.0.context.lent.metrics.panicked();
                    let text = format!("a stream panicked: {}", panic_text(&*payload));
                    let status = Status::from(Problem::internal(text));
                    let frame = Frame::trailers(trailers(&status));
                    (Some(Ok(frame)), Some(status.code()))
                }
            },
        };
        let Some(code) = code else {
            return Poll::Ready(frame);
        };
        let before = mem::replace(&mut *state, State::Over);
        drop(state);
        Self::end(before, code);
        Poll::Ready(frame)
    }
}

impl Open {
    /// What a panic leaves half done is dropped with the call.
    fn poll(&mut self, context: &mut task::Context<'_>) -> std::thread::Result<Polled> {
        let body = Pin::new(&mut self.body);
        let polled = catch_unwind(AssertUnwindSafe(|| body.poll_frame(context)))?;
        self.turns.asked(polled.is_ready());
        Ok(polled)
    }
}

impl Shared {
    /// How many messages its client was given, if it does not ask for another.
    fn untaken(&self) -> Option<u64> {
        match &*self.state.lock() {
            State::Open(open) if self.context.remote.is_some() => open.turns.untaken(),
            _ => None,
        }
    }

    fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        self.first.in_scope(|| self.context.enter(work))
    }
}

/// Waits for the reason to end a call that is still open then, and gives back what it holds.
async fn cut_off(call: Arc<Shared>) {
    let problem = tokio::select! {
        problem = cut(&call.context) => problem,
        problem = untaken(|| call.untaken()) => {
            call.context.lent.metrics.call_cut("untaken");
            problem
        }
    };
    let (open, code) = {
        let mut state = call.state.lock();
        if !matches!(*state, State::Open(_)) {
            return;
        }
        let status = Status::from(problem);
        let code = status.code();
        let State::Open(open) = mem::replace(&mut *state, State::Cut(status)) else {
            return;
        };
        (open, code)
    };
    call.first.in_scope(|| (open.ended)(code));
    if let Some(reader) = open.reader {
        reader.wake();
    }
    // Dropped, the messages' maker stops.
    call.context.enter(|| drop(open.body));
}

impl HttpBody for Call {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Polled {
        self.0.within(|| self.poll(context))
    }

    fn is_end_stream(&self) -> bool {
        matches!(*self.0.state.lock(), State::Over)
    }
}

/// What came of the call, when nothing follows this; a refusal gets its details.
fn last(frame: &mut Option<Result<Frame<Bytes>, axum::Error>>) -> Option<Code> {
    match frame {
        Some(Ok(frame)) => {
            let trailers = frame.trailers_mut()?;
            Some(detailed(trailers).unwrap_or(Code::Unknown))
        }
        Some(Err(_)) | None => Some(Code::Unknown),
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        trailers.clear();
        trailers.insert(GRPC_STATUS, (status.code() as i32).into());
    }
    trailers
}

impl Drop for Call {
    fn drop(&mut self) {
        let state = mem::replace(&mut *self.0.state.lock(), State::Over);
        if matches!(state, State::Open(_)) {
            self.0.within(|| Self::end(state, Code::Cancelled));
        }
    }
}
