use std::time::Duration;

use axum::response::Response;
use stanchion_resilience::Moment;
use stanchion_resilience::adaptive::{Adaptive, Kind, Place};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tonic::Code;

use crate::context::Context;
use crate::grpc;

/// A request's leave to be worked on. It is given back while the request waits for its client or for something to happen.
#[derive(Debug)]
pub(crate) struct Permit {
    /// What its route's requests take; none once the place has it.
    kind: Option<Kind>,
    place: Option<Place>,
    /// Instead of the place, while the client has not sent all of the request.
    arriving: Option<OwnedSemaphorePermit>,
    /// How long it had worked before that.
    worked: Duration,
}

/// A request while it is worked on; none once it is answered. Dropped before, it was given up: its client went away.
#[derive(Debug)]
pub(crate) struct Working<'c>(Option<&'c Context>);

impl Permit {
    pub(super) fn new(kind: Kind, place: Place) -> Self {
        Self {
            kind: Some(kind),
            place: Some(place),
            arriving: None,
            worked: Duration::ZERO,
        }
    }

    /// Its place is free until it goes on; the wait is no work.
    pub(super) fn pause(&mut self, arriving: OwnedSemaphorePermit) {
        if let Some(place) = self.place.take() {
            self.worked = Moment::now().since(place.began());
        }
        self.arriving = Some(arriving);
    }

    /// Goes on, whether a place is free or not: it was let in before.
    pub(super) fn resume(&mut self, limit: &Adaptive) {
        self.arriving = None;
        self.place = Some(limit.resume(Moment::now(), self.worked));
    }

    /// For good: the request waits for something to happen, and how long that takes says nothing.
    pub(crate) fn give_back(mut self) {
        drop(self.place.take());
    }

    /// The request is answered: how long that took says something, unless it was refused on the way.
    fn ended(mut self, now: Moment, says_how_long: bool) {
        if let Some((place, kind)) = self.place.take().zip(self.kind.take())
            && says_how_long
        {
            place.of_kind(kind).finish_at(now);
        }
    }
}

impl Drop for Permit {
    /// Given up. Whoever was left by an impatient client was slow: under overload these may be all there are.
    fn drop(&mut self) {
        let Some((place, kind)) = self.place.take().zip(self.kind.take()) else {
            return;
        };
        let now = Moment::now();
        let usual = kind.unloaded();
        if usual.is_some_and(|usual| now.since(place.began()) > usual) {
            place.of_kind(kind).finish_at(now);
        }
    }
}

impl<'c> Working<'c> {
    /// For as long as it lives, whether the request has a permit by then or not.
    pub(crate) fn of(context: &'c Context) -> Self {
        Self(Some(context))
    }

    /// The head of the answer is known; nothing is worked on after that but what the answer streams.
    pub(crate) fn answered(mut self, response: &Response) {
        let Some(context) = self.0.take() else {
            return;
        };
        let permit = context.permit.lock().take();
        if let Some(permit) = permit {
            // The clock is read once: for the limit, for metrics and for the line.
            let now = *context.answered.get_or_init(Instant::now);
            permit.ended(now.into(), says_how_long(response, context.accept.grpc));
        }
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        let permit = self.0.and_then(|context| context.permit.lock().take());
        drop(permit);
    }
}

/// Refusals are quick, and tell nothing of how long the work takes.
fn says_how_long(response: &Response, is_call: bool) -> bool {
    let outcome = is_call.then(|| grpc::outcome(response.headers()));
    match outcome.flatten() {
        None => matches!(response.status().as_u16(), 200..400 | 500 | 504),
        Some(code) => matches!(
            code,
            Code::Ok | Code::DeadlineExceeded | Code::Internal | Code::Unknown
        ),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{HeaderMap, Request, StatusCode};
    use stanchion_resilience::Priority;
    use tokio::time::advance;

    use super::*;
    use crate::admission::Lane;
    use crate::context::Lent;
    use crate::present::Present;

    const SECOND: Duration = Duration::from_secs(1);

    fn context() -> Context {
        let request = Request::new(());
        let present = Present::default();
        Context::new("r-1".into(), &request, Lent::alone(), None, present)
    }

    async fn admitted(context: &Context) -> Working<'_> {
        let (lane, headers) = (Lane::new(Priority::Normal), HeaderMap::new());
        let admission = &context.lent.admission;
        admission.admit(&lane, &headers, context).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_took_until_its_place_was_given_back() {
        let context = context();
        let working = admitted(&context).await;
        assert_eq!(context.lent.admission.limit.running(), 1);
        advance(SECOND).await;
        assert_eq!(context.took(), SECOND, "it goes on");
        working.answered(&Response::new(Body::empty()));
        assert_eq!(context.lent.admission.limit.running(), 0);
        advance(SECOND).await;
        assert_eq!(context.took(), SECOND, "what is done with the answer");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waited_without_a_place_took_all_of_the_time() {
        let context = context();
        let working = admitted(&context).await;
        let waiting = context.begin_waiting();
        assert!(waiting.is_some());
        assert_eq!(context.lent.admission.limit.running(), 0);
        advance(SECOND).await;
        working.answered(&Response::new(Body::empty()));
        advance(SECOND).await;
        assert_eq!(context.took(), SECOND * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_up_or_refused_leaves_no_place_taken() {
        for answer in [None, Some(503), Some(200)] {
            let context = context();
            let working = admitted(&context).await;
            advance(SECOND).await;
            match answer {
                Some(status) => {
                    let mut response = Response::new(Body::empty());
                    *response.status_mut() = StatusCode::from_u16(status).unwrap();
                    working.answered(&response);
                }
                None => drop(working),
            }
            let running = context.lent.admission.limit.running();
            assert_eq!(running, 0, "{answer:?}");
            assert!(context.permit.lock().is_none(), "{answer:?}");
        }
    }
}
