//! What is left of a request's body when the answer is known.
//!
//! A client that is still sending meets a connection that was closed with unread bytes, and never reads why: over
//! HTTP/1.1 the rest is read and thrown away before the answer goes, within bounds.

use std::mem::take;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::{StatusCode, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::present::{Present, Sought};

/// The most bytes thrown away.
const DISCARDED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest time for that.
const DISCARDED_WITHIN: Duration = Duration::from_secs(1);

type Home = Arc<Mutex<Option<Body>>>;

/// The body of a request, to be looked after once the answer is known.
pub(crate) struct Rest(Option<Home>);

/// Gives the body back when it is dropped before its end.
struct Lent {
    body: Body,
    home: Home,
}

impl Rest {
    /// Puts a body into the request that comes back to this.
    pub(crate) fn of(request: &mut Request, present: Present) -> Self {
        // HTTP/2 ends the stream and tells so; who waits for `100 Continue` has not begun to send.
        let sends = request.version() <= Version::HTTP_11
            && !present.has(Sought::Expect)
            && !request.body().is_end_stream();
        if !sends {
            return Self(None);
        }
        let home = Home::default();
        let lent = Arc::clone(&home);
        let body = take(request.body_mut());
        *request.body_mut() = Body::new(Lent { body, home: lent });
        Self(Some(home))
    }

    /// Lets whoever still sends a body come to its end before the answer goes: reads what nobody read, at most 4 MiB in
    /// at most 1 s.
    pub(crate) async fn discard(self, answer: StatusCode) {
        let Some(mut body) = self.0.and_then(|home| home.lock().take()) else {
            return;
        };
        // Who sent too slowly is not waited for once more.
        if answer == StatusCode::GATEWAY_TIMEOUT {
            return;
        }
        let all = async {
            let mut bytes = 0;
            while let Some(Ok(frame)) = body.frame().await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if bytes > DISCARDED_BYTES_MAX {
                    return;
                }
            }
        };
        // Who sends more, or more slowly, finds the connection closed.
        let _in_time = timeout(DISCARDED_WITHIN, Box::pin(all)).await;
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            *self.home.lock() = Some(take(&mut self.body));
        }
    }
}
