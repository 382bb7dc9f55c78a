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
