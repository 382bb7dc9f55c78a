//! Bodies that are waited for: a client that sends slowly takes no place from those that are worked on.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::context::Context;

/// A body whose request gives its place back whenever the next piece is not there yet.
struct Awaited {
    body: Body,
    context: Arc<Context>,
    is_paused: bool,
}

/// Too many bodies are waited for already.
#[derive(Debug, thiserror::Error)]
#[error("too many requests arrive slowly")]
pub(crate) struct TooMany;

impl TooMany {
    /// Whether it is what ended a body.
    pub(crate) fn is_behind(error: &axum::Error) -> bool {
        let first: &(dyn std::error::Error + 'static) = error;
        std::iter::successors(Some(first), |error| error.source()).any(|error| error.is::<Self>())
    }
}

/// Watches the body of a request that was let in.
pub(crate) fn awaited(request: Request, context: &Arc<Context>) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    let context = Arc::clone(context);
    request.map(|body| {
        Body::new(Awaited {
            body,
            context,
            is_paused: false,
        })
    })
}

impl Awaited {
    /// A request that is answered, or a stream, has given its place back before: it goes on as it likes.
    fn pause(&mut self) -> Result<(), TooMany> {
        if let Some(permit) = &mut *self.context.permit.lock() {
            let arriving = self.context.lent.admission.begin_arriving();
            permit.pause(arriving.ok_or(TooMany)?);
            self.is_paused = true;
        }
        Ok(())
    }

    fn resume(&mut self) {
        self.is_paused = false;
        if let Some(permit) = &mut *self.context.permit.lock() {
            permit.resume(&self.context.lent.admission.limit);
        }
    }
}

/// Whoever reads no further goes on working all the same.
impl Drop for Awaited {
    fn drop(&mut self) {
        if self.is_paused {
            self.resume();
        }
    }
}

impl HttpBody for Awaited {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_pending() {
            if !self.is_paused
                && let Err(error) = self.pause()
            {
                return Poll::Ready(Some(Err(axum::Error::new(error))));
            }
        } else if self.is_paused {
            self.resume();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
