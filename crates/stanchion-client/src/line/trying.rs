//! One try at one host.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::HOST;
use http::{HeaderMap, Request, Response, Uri, Version};
use http_body_util::BodyExt;
use stanchion_resilience::Moment;
use stanchion_resilience::breaker::Verdict;
use stanchion_resilience::deadline::Deadline;

use super::hosts::Host;
use super::pool::Leased;
use super::{Arriving, Line, Outgoing};
use crate::error::Fault;
use crate::target::Target;

/// How often a call finds that a connection was closed before anything of it was sent, and takes another.
const STALE_MAX: usize = 3;

/// Nobody is told of less time than this: it would read as none.
const LEFT_MIN: Duration = Duration::from_millis(1);

/// A try that is dropped so shortly before its end was dropped at its end: it began a little after its time did.
const SLACK: Duration = Duration::from_millis(5);

/// One try at one host; what came of it is recorded when it ends, or is dropped.
pub(crate) struct Trying<'l> {
    pub(super) line: &'l Line,
    pub(super) host: Arc<Host>,
    pub(super) begun: Moment,
    pub(super) allowed: Duration,
    pub(super) settled: bool,
}

impl Trying<'_> {
    /// What the host is told to be left: what the attempt may still take, less what the way costs.
    pub(crate) fn left(&self) -> Duration {
        let spent = Moment::now().since(self.begun);
        let left = self.allowed.saturating_sub(spent);
        told(left, self.host.pool.way.estimate())
    }

    /// The same of an answer that goes on until then; nothing where it has no end.
    pub(crate) fn left_until(&self, end: Deadline) -> Option<Duration> {
        let left = end.moment()?.since(Moment::now());
        Some(told(left, self.host.pool.way.estimate()))
    }

    /// Sends the request, once: a connection that was closed before it took anything is replaced.
    pub(crate) async fn send<R>(
        &self,
        mut request: Request<Outgoing>,
    ) -> Result<Response<Arriving>, Fault<R>> {
        let whole = request.uri().clone();
        for _ in 0..STALE_MAX {
            let leased = self.host.pool.lease().await?;
            let (mut error, fresh) = match leased {
                Leased::Shared { mut sender, fresh } => {
                    addressed(&mut request, &whole, Version::HTTP_2, &self.line.target);
                    match sender.try_send_request(request).await {
                        Ok(response) => return Ok(response.map(|body| Arriving::new(body, None))),
                        Err(error) => (error, fresh),
                    }
                }
                Leased::One(mut one) => {
                    addressed(&mut request, &whole, Version::HTTP_11, &self.line.target);
                    match one.sender.try_send_request(request).await {
                        Ok(response) => {
                            let pool = Arc::downgrade(&self.host.pool);
                            return Ok(response.map(|body| Arriving::new(body, Some((one, pool)))));
                        }
                        Err(error) => (error, one.fresh),
                    }
                }
            };
            match error.take_message() {
                Some(unsent) if !fresh => request = unsent,
                unsent => return Err(broken(error.error(), unsent.is_some())),
            }
        }
        Err(Fault::Connect(format!(
            "{}: one connection after the other was closed",
            self.host.address
        )))
    }

    /// The try has ended, or a stream has begun, and this is what it says of the host.
    pub(crate) fn ended(mut self, outcome: &'static str, verdict: Verdict) {
        self.settle(outcome, verdict);
    }

    fn settle(&mut self, outcome: &'static str, verdict: Verdict) {
        self.settled = true;
        let now = Moment::now();
        let took = now.since(self.begun);
        match outcome {
            "connect" => {
                self.host.connected(now, false);
                self.line.hosts.doubt(now);
            }
            _ if verdict == Verdict::Success => self.host.connected(now, true),
            _ => {}
        }
        let mut load = self.host.load.lock();
        load.end();
        match (outcome, verdict) {
            (_, Verdict::Success) => load.learn(now, took, false),
            // Who refuses is no worse a host, and must not look fast.
            (_, Verdict::Failure) | ("status", Verdict::Ignored) => load.learn(now, took, true),
            ("cancelled" | "timed_out", Verdict::Ignored) => load.given_up(now, took),
            (_, Verdict::Ignored) => {}
        }
        drop(load);
        self.line.metrics.attempted(outcome);
        self.line.metrics.seconds.observe(took.as_secs_f64());
        self.line.hosts.record(&self.host, now, verdict);
    }
}

/// Dropped unsettled, its time was over or its caller went away: only the first is the host's fault.
impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let took = Moment::now().since(self.begun);
        if took + SLACK < self.allowed {
            self.settle("cancelled", Verdict::Ignored);
        } else if self.line.policy.is_slow(self.allowed) {
            self.settle("timed_out", Verdict::Failure);
        } else {
            // Its caller had no more time than a healthy host may take.
            self.settle("timed_out", Verdict::Ignored);
        }
    }
}

/// The way takes half of what is left at most: it is learned from connections, of which one that took long (a pause of this
/// machine is enough) must not leave a healthy host without time for as long as that connection lives.
fn told(left: Duration, way: Duration) -> Duration {
    left.saturating_sub(way.min(left / 2)).max(LEFT_MIN)
}

/// HTTP/1.1 has the path alone and a header for the host; HTTP/2 has it all in the URL.
fn addressed(request: &mut Request<Outgoing>, whole: &Uri, version: Version, target: &Target) {
    *request.version_mut() = version;
    if version == Version::HTTP_2 {
        *request.uri_mut() = whole.clone();
        request.headers_mut().remove(HOST);
        return;
    }
    if let Some(path) = whole.path_and_query() {
        *request.uri_mut() = path.clone().into();
    }
    let host = target.host_header.clone();
    request.headers_mut().insert(HOST, host);
}

fn broken<R>(error: &hyper::Error, unsent: bool) -> Fault<R> {
    let cause = std::error::Error::source(error);
    let unsent = unsent || cause.is_some_and(is_refused);
    let why = why(error);
    Fault::Broken { why, unsent }
}

/// Whatever the host says of a call that it has begun to answer, it has worked on it.
fn broken_within<R>(error: &hyper::Error) -> Fault<R> {
    let (why, unsent) = (why(error), false);
    Fault::Broken { why, unsent }
}

fn why(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Whether the host says that it did nothing: a refused stream, or one above those it still serves while going away
/// (RFC 9113, 6.8 and 8.7).
fn is_refused(cause: &(dyn std::error::Error + 'static)) -> bool {
    let Some(error) = cause.downcast_ref::<h2::Error>() else {
        return false;
    };
    let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
    let gone = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
    error.is_remote() && (refused || gone)
}

/// The whole body and what stands behind it, if it is not too large.
pub(crate) async fn collected<R>(
    mut body: Arriving,
    bytes_max: usize,
) -> Result<(Bytes, Option<HeaderMap>), Fault<R>> {
    let (mut first, mut more, mut trailers) = (Bytes::new(), BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken_within(&error))?;
        match frame.into_data() {
            Ok(data) if first.is_empty() && more.is_empty() => first = data,
            Ok(data) => {
                if more.is_empty() {
                    more.extend_from_slice(&first);
                }
                more.extend_from_slice(&data);
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
        if first.len().max(more.len()) > bytes_max {
            return Err(Fault::TooLarge(bytes_max));
        }
    }
    let whole = if more.is_empty() {
        first
    } else {
        more.freeze()
    };
    Ok((whole, trailers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_told_what_the_way_leaves_and_half_of_it_at_least() {
        let ms = Duration::from_millis;
        for (left, way, expected) in [
            (ms(500), ms(0), ms(500)),
            (ms(500), ms(20), ms(480)),
            (ms(500), ms(400), ms(250)),
            // One connection took longer than any call may.
            (ms(500), ms(900), ms(250)),
            (ms(1), ms(900), LEFT_MIN),
            (ms(0), ms(0), LEFT_MIN),
        ] {
            assert_eq!(told(left, way), expected, "{left:?} {way:?}");
        }
    }
}
