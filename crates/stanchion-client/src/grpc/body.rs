//! Bodies of calls: known as a whole, or still being made.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::future::poll_fn;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use stanchion_resilience::deadline::Deadline;
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

use crate::line::{Arriving, Streaming};

/// A request's messages.
pub(super) enum Messages {
    /// All there: they can be sent again.
    Whole(Bytes),
    /// They come as they are made, and are gone when they were sent.
    Coming(Body),
}

impl Messages {
    /// Reads a request that is there as a whole; one that would have to be waited for, or is larger than `max`, comes.
    pub(super) async fn of(mut body: Body, max: usize) -> Result<Self, Status> {
        let mut read = BytesMut::new();
        let ended = poll_fn(|context| {
            loop {
                match Pin::new(&mut body).poll_frame(context) {
                    Poll::Ready(Some(Ok(frame))) => {
                        if let Ok(data) = frame.into_data() {
                            read.extend_from_slice(&data);
                        }
                        if read.len() > max {
                            return Poll::Ready(Ok(false));
                        }
                    }
                    Poll::Ready(Some(Err(status))) => return Poll::Ready(Err(status)),
                    Poll::Ready(None) => return Poll::Ready(Ok(true)),
                    Poll::Pending => return Poll::Ready(Ok(false)),
                }
            }
        });
        if ended.await? {
            return Ok(Self::Whole(read.freeze()));
        }
        let begun = Begun {
            read: Some(read.freeze()).filter(|read| !read.is_empty()),
            rest: body,
        };
        Ok(Self::Coming(Body::new(begun)))
    }
}

/// A request whose beginning was read already.
struct Begun {
    read: Option<Bytes>,
    rest: Body,
}

impl HttpBody for Begun {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.read.take() {
            Some(read) => Poll::Ready(Some(Ok(Frame::data(read)))),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }
}

/// An answer that was read whole: its message, and the status behind it.
pub(super) struct Whole {
    pub(super) message: Option<Bytes>,
    pub(super) trailers: Option<HeaderMap>,
}

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let message = self.message.take().filter(|message| !message.is_empty());
        let frame = match message {
            Some(message) => Some(Frame::data(message)),
            None => self.trailers.take().map(Frame::trailers),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.message.is_none() && self.trailers.is_none()
    }
}

/// An answer that is streamed, with its place, up to its deadline.
pub(super) struct Stream {
    body: Arriving,
    end: Option<Pin<Box<Sleep>>>,
    _place: Streaming,
}

impl Stream {
    pub(super) fn new(body: Arriving, until: Deadline, place: Streaming) -> Self {
        let end = until.moment();
        Self {
            body,
            end: end.map(|end| Box::pin(tokio::time::sleep_until(end.instant()))),
            _place: place,
        }
    }
}

/// The frame without what the reader of trailers would not survive.
fn readable(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        super::status::sanitized(trailers);
    }
    frame
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // First, so that messages which never pause do not outlive it.
        let end = self.end.as_mut();
        if end.is_some_and(|end| end.as_mut().poll(context).is_ready()) {
            let late = Status::deadline_exceeded("the stream's deadline has come");
            return Poll::Ready(Some(Err(late)));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let frame = frame.map(|frame| frame.map_err(|error| super::status::broken(&error)));
        Poll::Ready(frame.map(|frame| frame.map(readable)))
    }
}
