use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// How fast a body must arrive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyRate {
    /// In bytes a second.
    pub(crate) minimum: u64,
    /// It may be waited for this long before that counts.
    pub(crate) grace: Duration,
}

/// The body of a request arrives more slowly than is allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooSlow;

/// The body of a request, which fails when it is waited for too long in all. What is not asked for is not waited for.
pub(super) struct Paced {
    body: Body,
    pace: Pace,
    waiting: Option<Waiting>,
}

struct Waiting {
    since: Instant,
    until: Pin<Box<Sleep>>,
}

/// What was waited for how long.
#[derive(Debug)]
struct Pace {
    rate: BodyRate,
    bytes: u64,
    waited: Duration,
}

impl Paced {
    pub(super) fn watch(body: Body, rate: BodyRate) -> Body {
        if rate.minimum == 0 || body.is_end_stream() {
            return body;
        }
        let pace = Pace {
            rate,
            bytes: 0,
            waited: Duration::ZERO,
        };
        Body::new(Self {
            body,
            pace,
            waiting: None,
        })
    }
}

impl Pace {
    /// How much longer it may be waited for.
    fn patience(&self) -> Duration {
        let earned = Duration::from_secs_f64(self.bytes as f64 / self.rate.minimum as f64);
        (self.rate.grace + earned).saturating_sub(self.waited)
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            if let Some(waiting) = this.waiting.take() {
                this.pace.waited += waiting.since.elapsed();
            }
            if let Some(Ok(frame)) = &frame {
                let bytes = frame.data_ref().map_or(0, Buf::remaining);
                this.pace.bytes += bytes as u64;
            }
            return Poll::Ready(frame);
        }
        let patience = this.pace.patience();
        let waiting = this.waiting.get_or_insert_with(|| Waiting {
            since: Instant::now(),
            until: Box::pin(sleep(patience)),
        });
        match waiting.until.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(axum::Error::new(TooSlow)))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl TooSlow {
    /// Whether it is what is behind an error of a body.
    pub(crate) fn is_behind(error: &(dyn std::error::Error + 'static)) -> bool {
        let mut behind = Some(error);
        while let Some(error) = behind {
            if error.is::<Self>() {
                return true;
            }
            behind = error.source();
        }
        false
    }
}

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body arrives too slowly")
    }
}

impl std::error::Error for TooSlow {}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt, stream};
    use http_body_util::BodyExt;

    use super::*;

    /// So many bytes every second, ten times; what became of them.
    async fn sent(bytes: usize, seconds_of_work: u64) -> Result<usize, axum::Error> {
        let pieces = stream::iter(0..10).then(move |_| async move {
            sleep(Duration::from_secs(1)).await;
            Ok::<_, Infallible>(Bytes::from(vec![0; bytes]))
        });
        let rate = BodyRate {
            minimum: 100,
            grace: Duration::from_secs(2),
        };
        let mut body = Paced::watch(Body::from_stream(pieces), rate);
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            read += frame?.data_ref().map_or(0, Bytes::len);
            sleep(Duration::from_secs(seconds_of_work)).await;
        }
        Ok(read)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_keeps_its_rate_or_fails_and_our_own_work_does_not_count() {
        assert_eq!(sent(100, 0).await.unwrap(), 1_000);
        assert_eq!(sent(90, 20).await.unwrap(), 900, "within the grace");
        let error = sent(10, 0).await.unwrap_err();
        assert!(TooSlow::is_behind(&error), "{error:?}");
    }
}
