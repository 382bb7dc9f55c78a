//! The async function and the tower form: a call as a job.

use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tower::{Layer, Service, ServiceExt};

use super::{JobFailed, Pool, SubmitError};

/// Why a call through a pool gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError<E> {
    /// The queue is full; the call was not begun.
    #[error("not begun: the queue is full")]
    Full,
    /// The pool is shut down; the call was not begun.
    #[error("not begun: the pool is shut down")]
    Closed,
    /// It was begun, and took too long, panicked or was cancelled by a shutdown.
    #[error("{0}")]
    Job(JobFailed),
    /// The call's own error.
    #[error("{0}")]
    Remote(E),
}

impl Pool {
    /// Runs `call` as a job, if there is room at once, and waits for it.
    ///
    /// A caller that goes away does not stop the job: that is what a pool is for.
    ///
    /// # Errors
    /// Not begun, not ended, or the call's own error.
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, PoolError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let job = self.try_submit(call).map_err(|refused| match refused {
            SubmitError::Full(_) => PoolError::Full,
            SubmitError::Closed(_) => PoolError::Closed,
        })?;
        job.await
            .map_err(PoolError::Job)?
            .map_err(PoolError::Remote)
    }

    /// A tower layer that runs each request of a service as a job of this very pool.
    #[must_use]
    pub fn layer(&self) -> PoolLayer {
        PoolLayer(self.clone())
    }
}

/// Runs the requests of a service on a [`Pool`].
#[derive(Debug, Clone)]
pub struct PoolLayer(Pool);

/// A service whose requests run on a [`Pool`]. It is always ready; a full pool refuses.
#[derive(Debug, Clone)]
pub struct Pooled<S> {
    inner: S,
    pool: Pool,
}

impl<S> Layer<S> for PoolLayer {
    type Service = Pooled<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Pooled {
            inner,
            pool: self.0.clone(),
        }
    }
}

impl<R, S> Service<R> for Pooled<S>
where
    R: Send + 'static,
    S: Service<R> + Clone + Send + 'static,
    S::Response: Send + 'static,
    S::Error: Send + 'static,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = PoolError<S::Error>;
    type Future = BoxFuture<'static, Result<S::Response, PoolError<S::Error>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (inner, pool) = (self.inner.clone(), self.pool.clone());
        Box::pin(async move { pool.call(inner.oneshot(request)).await })
    }
}
