//! An answer's body, which holds its connection until it is read.

use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::pool::{One, Pool};

/// A body on its way. Read to its end, it gives its connection back; dropped before, it closes it (HTTP/1.1) or resets
/// its stream (HTTP/2).
pub(crate) struct Arriving {
    body: Incoming,
    lease: Option<(One, Weak<Pool>)>,
}

impl Arriving {
    pub(crate) fn new(body: Incoming, lease: Option<(One, Weak<Pool>)>) -> Self {
        let mut arriving = Self { body, lease };
        arriving.release_at_end();
        arriving
    }

    fn release_at_end(&mut self) {
        if self.body.is_end_stream() {
            self.release();
        }
    }

    fn release(&mut self) {
        if let Some((one, pool)) = self.lease.take()
            && let Some(pool) = pool.upgrade()
        {
            pool.give_back(one);
        }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(None) => self.release(),
            Poll::Ready(Some(Ok(_))) => self.release_at_end(),
            Poll::Ready(Some(Err(_))) => self.lease = None,
            Poll::Pending => {}
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
