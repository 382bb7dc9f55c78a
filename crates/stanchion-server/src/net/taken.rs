use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::activity::{Activity, AtWork};

/// The largest piece of an answer that is given away at once, in bytes: HTTP/2's usual frame.
const PIECE_BYTES_MAX: usize = 16 * 1024;

/// An answer of which the connection knows whether it is still on its way, and over HTTP/2 whether its client takes it.
///
/// A client that opens no windows has the rest of its answers held in our memory, by a connection that is idle to all
/// that looks at bytes. Each piece here tells when it is gone, and the next one is there when its turn comes.
pub(super) struct Taken {
    body: Body,
    /// Of the last frame, not given away yet.
    rest: Bytes,
    /// Calls have deadlines of their own, and may be taken as slowly as those allow; over HTTP/1.1 the bytes tell.
    whole: bool,
    request: AtWork,
}

/// A piece on its way, until it is sent or dropped.
struct Piece {
    bytes: Bytes,
    activity: Arc<Activity>,
}

impl Taken {
    pub(super) fn watch(body: Body, whole: bool, request: AtWork) -> Body {
        Body::new(Self {
            body,
            rest: Bytes::new(),
            whole,
            request,
        })
    }

    fn piece(&mut self) -> Frame<Bytes> {
        let length = self.rest.len().min(PIECE_BYTES_MAX);
        let bytes = self.rest.split_to(length);
        let activity = Arc::clone(self.request.activity());
        activity.hold();
        Frame::data(Bytes::from_owner(Piece { bytes, activity }))
    }
}

impl HttpBody for Taken {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.piece())));
        }
        let polled = ready!(Pin::new(&mut self.body).poll_frame(context));
        if polled.as_ref().is_some_and(Result::is_ok) {
            self.request.activity().answered();
        }
        let frame = match polled {
            Some(Ok(frame)) if !self.whole => frame,
            other => return Poll::Ready(other),
        };
        match frame.into_data() {
            Ok(data) if !data.is_empty() => {
                self.rest = data;
                Poll::Ready(Some(Ok(self.piece())))
            }
            Ok(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Err(frame) => Poll::Ready(Some(Ok(frame))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (of_body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower() + rest);
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.activity.release();
    }
}
