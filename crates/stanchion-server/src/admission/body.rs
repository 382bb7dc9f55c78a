//! Bodies that are waited for: a client that sends slowly takes no place from those that are worked on.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::Paused;
use crate::context::Context;

/// A body whose request gives its place back whenever the next piece is not there yet.
struct Awaited {
    body: Body,
    context: Arc<Context>,
    pause: Option<Pause>,
}

struct Pause {
    paused: Paused,
    /// Among the bodies that are waited for.
    _place: OwnedSemaphorePermit,
}

/// Too many bodies are waited for already.
#[derive(Debug, thiserror::Error)]
#[error("too many requests arrive slowly")]
struct TooMany;

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
            pause: None,
        })
    })
}

impl Awaited {
    fn pause(&mut self) -> Result<(), TooMany> {
        let mut permit = self.context.permit.lock();
        // A stream has given its place back before.
        let Some(held) = permit.take() else {
            return Ok(());
        };
        let admission = &self.context.lent.admission;
        let Some(place) = admission.begin_arriving() else {
            *permit = Some(held);
            return Err(TooMany);
        };
        self.pause = Some(Pause {
            paused: held.pause(),
            _place: place,
        });
        Ok(())
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
            if self.pause.is_none()
                && let Err(error) = self.pause()
            {
                return Poll::Ready(Some(Err(axum::Error::new(error))));
            }
            return Poll::Pending;
        }
        if let Some(pause) = self.pause.take() {
            *self.context.permit.lock() = Some(pause.paused.resume());
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
