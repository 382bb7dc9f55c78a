//! The tower form.

use std::hash::Hash;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tower::{Layer, Service, ServiceExt};

use super::{FlightFailed, SingleFlight};

/// Puts a [`SingleFlight`] around a service of reads.
pub struct SingleFlightLayer<K: Hash + Eq, V, E, Of> {
    flights: SingleFlight<K, V, E>,
    of: Of,
}

/// A service that is asked once for what many want at the same time. It is always ready.
pub struct Flying<S, K: Hash + Eq, V, E, Of> {
    inner: S,
    flights: SingleFlight<K, V, E>,
    of: Of,
}

impl<K: Hash + Eq, V, E, Of> SingleFlightLayer<K, V, E, Of> {
    pub(super) fn new(flights: SingleFlight<K, V, E>, of: Of) -> Self {
        SingleFlightLayer { flights, of }
    }
}

impl<S, K: Hash + Eq, V, E, Of: Clone> Layer<S> for SingleFlightLayer<K, V, E, Of> {
    type Service = Flying<S, K, V, E, Of>;

    fn layer(&self, inner: S) -> Self::Service {
        Flying {
            inner,
            flights: self.flights.clone(),
            of: self.of.clone(),
        }
    }
}

impl<R, S, K, Of> Service<R> for Flying<S, K, S::Response, S::Error, Of>
where
    R: Send + 'static,
    S: Service<R> + Clone + Send + 'static,
    S::Response: Clone + Send + Sync + 'static,
    S::Error: Send + Sync + 'static,
    S::Future: Send,
    K: Hash + Eq + Clone + Send + Sync + 'static,
    Of: Fn(&R) -> K,
{
    type Response = S::Response;
    type Error = FlightFailed<S::Error>;
    type Future = BoxFuture<'static, Result<S::Response, FlightFailed<S::Error>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (key, inner, flights) = (
            (self.of)(&request),
            self.inner.clone(),
            self.flights.clone(),
        );
        Box::pin(async move { flights.call(key, move || inner.oneshot(request)).await })
    }
}

impl<S: Clone, K: Hash + Eq, V, E, Of: Clone> Clone for Flying<S, K, V, E, Of> {
    fn clone(&self) -> Self {
        Flying {
            inner: self.inner.clone(),
            flights: self.flights.clone(),
            of: self.of.clone(),
        }
    }
}

impl<K: Hash + Eq, V, E, Of: Clone> Clone for SingleFlightLayer<K, V, E, Of> {
    fn clone(&self) -> Self {
        SingleFlightLayer {
            flights: self.flights.clone(),
            of: self.of.clone(),
        }
    }
}

impl<S, K: Hash + Eq, V, E, Of> std::fmt::Debug for Flying<S, K, V, E, Of> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flying").finish_non_exhaustive()
    }
}

impl<K: Hash + Eq, V, E, Of> std::fmt::Debug for SingleFlightLayer<K, V, E, Of> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SingleFlightLayer").finish_non_exhaustive()
    }
}
