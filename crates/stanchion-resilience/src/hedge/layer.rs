//! The tower form.

use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tower::{Layer, Service, ServiceExt};

use super::Hedge;

/// Puts a [`Hedge`] around a service of safe reads.
#[derive(Debug, Clone)]
pub struct HedgeLayer(pub(super) Hedge);

/// A service that sends a slow request a second time.
#[derive(Debug, Clone)]
pub struct Hedging<S> {
    inner: S,
    hedge: Hedge,
}

impl<S> Layer<S> for HedgeLayer {
    type Service = Hedging<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Hedging {
            inner,
            hedge: self.0.clone(),
        }
    }
}

impl<R, S> Service<R> for Hedging<S>
where
    R: Clone + Send + 'static,
    S: Service<R> + Clone + Send + 'static,
    S::Response: Send,
    S::Error: Send,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (inner, hedge) = (self.inner.clone(), self.hedge.clone());
        Box::pin(async move {
            hedge
                .call(move |_try| inner.clone().oneshot(request.clone()))
                .await
        })
    }
}
