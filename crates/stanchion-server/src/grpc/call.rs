use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::{Body as HttpBody, Frame};
use stanchion_runtime::clock;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

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
type Reason = Pin<Box<dyn Future<Output = Problem> + Send>>;

/// The messages of an answer, up to the status behind them. It ends at the deadline, with the caller's token and with the
/// service, in gRPC's own words; what came of it is told once. Dropped before its end, the client went away.
pub(crate) struct Call {
    body: Body,
    /// Current again whenever the messages' maker runs: it runs after the handler has returned.
    context: Arc<Context>,
    cut: Reason,
    ended: Option<Ended>,
}

impl Call {
    /// Takes the answer's body over.
    pub(crate) fn watch(
        response: Response,
        context: Arc<Context>,
        ended: impl FnOnce(Code) + Send + 'static,
    ) -> Response {
        response.map(|body| {
            Body::new(Self {
                body,
                cut: Box::pin(cut(&context)),
                context,
                ended: Some(Box::new(ended)),
            })
        })
    }

    fn end(&mut self, code: Code) {
        if let Some(ended) = self.ended.take() {
            ended(code);
        }
    }
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

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended.is_none() {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        let polled = this
            .context
            .enter(|| Pin::new(&mut this.body).poll_frame(context));
        let frame = match polled {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let Poll::Ready(problem) = self.cut.as_mut().poll(context) else {
                    return Poll::Pending;
                };
                // Dropped, the messages' maker stops.
                self.body = Body::empty();
                let status = Status::from(problem);
                self.end(status.code());
                return Poll::Ready(Some(Ok(Frame::trailers(trailers(&status)))));
            }
        };
        match &frame {
            Some(Ok(frame)) => {
                let code = frame
                    .trailers_ref()
                    .map(|trailers| outcome(trailers).unwrap_or(Code::Unknown));
                if let Some(code) = code {
                    self.end(code);
                }
            }
            Some(Err(_)) | None => self.end(Code::Unknown),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ended.is_none()
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
        self.end(Code::Cancelled);
    }
}
