use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::{Body as HttpBody, Frame};
use parking_lot::Mutex;
use stanchion_runtime::clock;
use stanchion_runtime::task::{Task, panic_text, spawn};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tracing::Span;

use super::detailed;
use crate::context::Context;
use crate::{Problem, codes};

/// A stream that does not end by itself when a stop begins has this long; it then ends with `UNAVAILABLE`.
const STREAM_GRACE: Duration = Duration::from_secs(3);

/// Whether it is a gRPC call or its answer.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let rest = kind.and_then(|kind| kind.strip_prefix("application/grpc"));
    // Not gRPC-Web, which is another protocol.
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
}

/// What a head that is the whole answer says came of the call.
pub(crate) fn outcome(headers: &HeaderMap) -> Option<Code> {
    headers
        .get("grpc-status")
        .map(|status| Code::from_bytes(status.as_bytes()))
}

type Ended = Box<dyn FnOnce(Code) + Send>;
type Polled = Poll<Option<Result<Frame<Bytes>, axum::Error>>>;

/// The messages of an answer, up to the status behind them. It ends at the deadline, with the caller's token and with the
/// service, in gRPC's own words; what came of it is told once. Dropped before its end, the client went away.
pub(crate) struct Call {
    state: Arc<Mutex<State>>,
    /// Both current again whenever the messages' maker runs: it runs after the handler has returned.
    context: Arc<Context>,
    span: Span,
    /// Ends the call although nobody asks for its next message: a client that reads nothing is not polled for.
    cutter: Task<()>,
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
    /// Waits for the next message.
    reader: Option<Waker>,
}

impl Call {
    /// Takes the answer's body over, within the request's span.
    pub(crate) fn watch(
        response: Response,
        context: Arc<Context>,
        ended: impl FnOnce(Code) + Send + 'static,
    ) -> Response {
        response.map(|body| {
            let state = Arc::new(Mutex::new(State::Open(Open {
                body,
                ended: Box::new(ended),
                reader: None,
            })));
            let cutter = cut_off(Arc::clone(&state), Arc::clone(&context));
            Body::new(Self {
                state,
                context,
                span: Span::current(),
                cutter: spawn("grpc cutter", cutter),
            })
        })
    }

    /// Nobody has to cut it any more; told if nobody was.
    fn end(&self, state: State, code: Code) {
        self.cutter.abort();
        if let State::Open(open) = state {
            (open.ended)(code);
        }
    }

    /// The next frame; what a panic leaves half done is dropped with the call.
    fn poll(
        &self,
        open: &mut Open,
        context: &mut task::Context<'_>,
    ) -> std::thread::Result<Polled> {
        let body = Pin::new(&mut open.body);
        let polled = || self.context.enter(|| body.poll_frame(context));
        catch_unwind(AssertUnwindSafe(|| self.span.in_scope(polled)))
    }
}

/// Waits for the reason to end a call that is still open then, and gives back what it holds.
async fn cut_off(state: Arc<Mutex<State>>, context: Arc<Context>) {
    let problem = cut(&context).await;
    let (open, code) = {
        let mut state = state.lock();
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
    (open.ended)(code);
    if let Some(reader) = open.reader {
        reader.wake();
    }
    // Dropped, the messages' maker stops.
    context.enter(|| drop(open.body));
}

/// Why a call does not go on: its time or its caller's token is over, or the service stops.
pub(crate) fn cut(context: &Context) -> impl Future<Output = Problem> + Send + use<> {
    let (deadline, stopping) = (context.deadline(), context.stopping().clone());
    let expires_at = context
        .principal()
        .and_then(|principal| principal.expires_at);
    let left = expires_at.map(|end| end.duration_since(clock::now()));
    let left = left.map(|left| Duration::try_from(left).unwrap_or_default());
    until(deadline, left, stopping)
}

async fn until(
    deadline: Option<Instant>,
    token: Option<Duration>,
    stopping: CancellationToken,
) -> Problem {
    let late = async {
        match deadline {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    let expired = async {
        match token {
            Some(left) => sleep(left).await,
            None => std::future::pending().await,
        }
    };
    let stopped = async {
        stopping.cancelled().await;
        sleep(STREAM_GRACE).await;
    };
    tokio::select! {
        () = late => codes::DEADLINE_EXCEEDED.problem(),
        () = expired => Problem::unauthenticated().message("The access token ended: come back with a new one."),
        () = stopped => codes::UNAVAILABLE.problem().message("The service is stopping: ask again."),
    }
}

impl HttpBody for Call {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Polled {
        let mut state = self.state.lock();
        let (frame, code) = match &mut *state {
            State::Over => return Poll::Ready(None),
            State::Cut(status) => {
                let frame = Frame::trailers(trailers(status));
                *state = State::Over;
                return Poll::Ready(Some(Ok(frame)));
            }
            State::Open(open) => match self.poll(open, context) {
                Ok(Poll::Pending) => {
                    open.reader = Some(context.waker().clone());
                    return Poll::Pending;
                }
                Ok(Poll::Ready(mut frame)) => {
                    if let Some(Ok(frame)) = &mut frame
                        && let Some(trailers) = frame.trailers_mut()
                    {
                        detailed(trailers);
                    }
                    let code = last(&frame);
                    (frame, code)
                }
                Err(payload) => {
                    self.context.lent.metrics.panicked();
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
        self.end(before, code);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        matches!(*self.state.lock(), State::Over)
    }
}

/// What came of the call, when nothing follows this.
fn last(frame: &Option<Result<Frame<Bytes>, axum::Error>>) -> Option<Code> {
    match frame {
        Some(Ok(frame)) => {
            let trailers = frame.trailers_ref()?;
            Some(outcome(trailers).unwrap_or(Code::Unknown))
        }
        Some(Err(_)) | None => Some(Code::Unknown),
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        trailers.clear();
        trailers.insert("grpc-status", (status.code() as i32).into());
    }
    trailers
}

impl Drop for Call {
    fn drop(&mut self) {
        let state = mem::replace(&mut *self.state.lock(), State::Over);
        self.end(state, Code::Cancelled);
    }
}
