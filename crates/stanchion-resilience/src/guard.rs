//! One tower layer for every policy that wraps a single call.

use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tower::{Layer, Service, ServiceExt};

use crate::Failure;

/// A policy that wraps one call: breaker, timeout, bulkhead, adaptive limit.
///
/// Clones share their state, so one guard can stand in front of many services, and in async code at the same time.
pub trait Guard: Clone + Send + Sync + 'static {
    /// Runs `call`, or refuses it unpolled.
    fn guard<T: Send, E: Send>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> impl Future<Output = Result<T, Failure<E>>> + Send;
}

/// Puts a [`Guard`] around a service; what `guard.layer()` returns.
#[derive(Debug, Clone)]
pub struct GuardLayer<G>(pub(crate) G);

/// A service behind a [`Guard`].
///
/// It is always ready: the guard must decide before the inner service is asked, and waiting for the inner service
/// is part of the guarded call, so that a timeout covers it. Errors are the inner ones wrapped in [`Failure`].
#[derive(Debug, Clone)]
pub struct Guarded<S, G> {
    inner: S,
    guard: G,
}

impl<G> GuardLayer<G> {
    /// The layer of `guard`.
    pub fn new(guard: G) -> Self {
        GuardLayer(guard)
    }
}

/// Puts around each request of a service the [`Guard`] that `of` makes for it: its deadline, its class, its host.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use std::time::Duration;
/// use stanchion_resilience::{Failure, GuardByLayer, Moment, Refusal, deadline::Deadline};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// let by_request = GuardByLayer::new(|left: &Duration| Deadline::after(Moment::now(), *left));
/// let service = by_request.layer(service_fn(|left: Duration| async move { Ok::<_, ()>(left) }));
/// assert!(service.clone().oneshot(Duration::from_secs(1)).await.is_ok());
/// let late = service.oneshot(Duration::from_millis(1)).await;
/// assert_eq!(late, Err(Failure::Refused(Refusal::NoTimeLeft)));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct GuardByLayer<Of>(Of);

/// A service each of whose requests has a [`Guard`] of its own.
#[derive(Debug, Clone)]
pub struct GuardedBy<S, Of> {
    inner: S,
    of: Of,
}

impl<Of> GuardByLayer<Of> {
    /// The layer of the guards that `of` makes.
    pub fn new(of: Of) -> Self {
        GuardByLayer(of)
    }
}

impl<S, Of: Clone> Layer<S> for GuardByLayer<Of> {
    type Service = GuardedBy<S, Of>;

    fn layer(&self, inner: S) -> Self::Service {
        GuardedBy {
            inner,
            of: self.0.clone(),
        }
    }
}

impl<R, S, G, Of> Service<R> for GuardedBy<S, Of>
where
    R: Send + 'static,
    S: Service<R> + Clone + Send + 'static,
    S::Response: Send,
    S::Error: Send,
    S::Future: Send,
    G: Guard,
    Of: Fn(&R) -> G,
{
    type Response = S::Response;
    type Error = Failure<S::Error>;
    type Future = BoxFuture<'static, Result<S::Response, Failure<S::Error>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (guard, inner) = ((self.of)(&request), self.inner.clone());
        Box::pin(async move { guard.guard(inner.oneshot(request)).await })
    }
}

impl<S, G: Clone> Layer<S> for GuardLayer<G> {
    type Service = Guarded<S, G>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded {
            inner,
            guard: self.0.clone(),
        }
    }
}

impl<R, S, G> Service<R> for Guarded<S, G>
where
    R: Send + 'static,
    S: Service<R> + Clone + Send + 'static,
    S::Response: Send,
    S::Error: Send,
    S::Future: Send,
    G: Guard,
{
    type Response = S::Response;
    type Error = Failure<S::Error>;
    type Future = BoxFuture<'static, Result<S::Response, Failure<S::Error>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (guard, inner) = (self.guard.clone(), self.inner.clone());
        Box::pin(async move { guard.guard(inner.oneshot(request)).await })
    }
}
