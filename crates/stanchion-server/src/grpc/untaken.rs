//! Messages that nobody takes.
//!
//! A client that leaves its window shut is not asked for, by HTTP/2, whether it wants the next message: a call with a long
//! deadline would keep its place, and what its maker holds, for as long as that.

use std::time::Duration;

use tokio::time::sleep;

use crate::{Problem, codes};

/// How long a message waits at least for its client to take it; up to twice as long, for it is looked after this often.
/// A client has room for 64 KiB unless it says otherwise, and what fits there is taken at once. Callers within the process
/// ask when they like.
pub(super) const UNTAKEN_MAX: Duration = Duration::from_secs(60);

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The client has asked for the next message, which is not there yet.
    is_ours: bool,
    /// How often it got what it asked for.
    given: u64,
}

impl Turns {
    /// The client asked for the next message; whether it was there.
    pub(super) fn asked(&mut self, was_there: bool) {
        self.is_ours = !was_there;
        self.given += u64::from(was_there);
    }

    /// How many it has been given, if it does not ask for another.
    pub(super) fn untaken(&self) -> Option<u64> {
        (!self.is_ours).then_some(self.given)
    }
}

/// Waits until nothing was taken between two looks.
pub(super) async fn untaken(look: impl Fn() -> Option<u64>) -> Problem {
    let mut before = None;
    loop {
        sleep(UNTAKEN_MAX).await;
        let now = look();
        if now.is_some() && now == before {
            return codes::DEADLINE_EXCEEDED
                .problem()
                .message("The messages were not taken in time.");
        }
        before = now;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::Ipv4Addr;
    use std::sync::{Arc, OnceLock};

    use axum::body::Body;
    use bytes::Bytes;
    use futures_util::stream;
    use http::{Request, Response};
    use http_body_util::BodyExt;
    use stanchion_telemetry::trace::First;
    use tonic::Code;

    use super::super::Call;
    use super::*;
    use crate::context::{Context, Lent};
    use crate::present::Present;

    /// A call with these messages, and what came of it.
    fn call(messages: Body, is_within: bool) -> (Body, Arc<OnceLock<Code>>) {
        let remote = (!is_within).then_some(Ipv4Addr::LOCALHOST.into());
        let request = Request::new(());
        let context = Context::new(
            "r-1".into(),
            &request,
            Lent::alone(),
            remote,
            Present::default(),
        );
        let outcome = Arc::new(OnceLock::new());
        let told = Arc::clone(&outcome);
        let ended = move |code| told.set(code).unwrap();
        let context = Arc::new(context);
        let response = Call::watch(Response::new(messages), context, First::current(), ended);
        (response.into_body(), outcome)
    }

    fn endless() -> Body {
        Body::from_stream(stream::repeat(Ok::<_, Infallible>(Bytes::from("message"))))
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_when_nobody_takes_its_messages() {
        for asks_at_first in [true, false] {
            let (mut body, outcome) = call(endless(), false);
            for _ in 0..if asks_at_first { 10 } else { 0 } {
                assert!(body.frame().await.unwrap().unwrap().is_data());
                // Slowly, and taken all the same.
                sleep(UNTAKEN_MAX * 9 / 10).await;
            }
            assert_eq!(outcome.get(), None);
            sleep(UNTAKEN_MAX * 2 + Duration::from_secs(1)).await;
            assert_eq!(outcome.get(), Some(&Code::DeadlineExceeded));
            let last = body.frame().await.unwrap().unwrap();
            assert_eq!(last.trailers_ref().unwrap()["grpc-status"], "4");
            assert!(body.frame().await.is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_has_nothing_to_say_and_one_within_the_process_go_on() {
        let silent = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let (mut body, outcome) = call(silent, false);
        assert!(futures_util::poll!(body.frame()).is_pending());
        let (mut within, outcome_within) = call(endless(), true);
        assert!(within.frame().await.is_some());
        sleep(UNTAKEN_MAX * 100).await;
        assert_eq!((outcome.get(), outcome_within.get()), (None, None));
    }
}
