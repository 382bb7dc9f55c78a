//! The tower form of the keyed limit.

use std::hash::Hash;
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, Either, Ready, ready};
use tower::{Layer, Service, ServiceExt};

use super::KeyedRate;
use crate::{Failure, Moment};

/// Puts a [`KeyedRate`] around a service; `of` tells a request's key and cost.
#[derive(Debug, Clone)]
pub struct KeyedRateLayer<K, Of> {
    rate: KeyedRate<K>,
    of: Of,
}

/// A service behind a [`KeyedRate`].
#[derive(Debug, Clone)]
pub struct KeyedRated<S, K, Of> {
    inner: S,
    rate: KeyedRate<K>,
    of: Of,
}

impl<K, Of> KeyedRateLayer<K, Of> {
    pub(super) fn new(rate: KeyedRate<K>, of: Of) -> Self {
        KeyedRateLayer { rate, of }
    }
}

impl<S, K, Of: Clone> Layer<S> for KeyedRateLayer<K, Of> {
    type Service = KeyedRated<S, K, Of>;

    fn layer(&self, inner: S) -> Self::Service {
        KeyedRated {
            inner,
            rate: self.rate.clone(),
            of: self.of.clone(),
        }
    }
}

impl<R, S, K, Of> Service<R> for KeyedRated<S, K, Of>
where
    R: Send + 'static,
    S: Service<R> + Clone + Send + 'static,
    S::Response: Send,
    S::Error: Send,
    S::Future: Send,
    K: Hash + Eq + Clone,
    Of: Fn(&R) -> (K, u32),
{
    type Response = S::Response;
    type Error = Failure<S::Error>;
    type Future = Either<
        Ready<Result<S::Response, Failure<S::Error>>>,
        BoxFuture<'static, Result<S::Response, Failure<S::Error>>>,
    >;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (key, cost) = (self.of)(&request);
        if let Err(refused) = self.rate.check(&key, Moment::now(), cost) {
            return Either::Left(ready(Err(refused.into())));
        }
        let answer = self.inner.clone().oneshot(request);
        Either::Right(Box::pin(
            async move { answer.await.map_err(Failure::Remote) },
        ))
    }
}
