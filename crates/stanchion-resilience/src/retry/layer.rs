//! The tower form.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tower::{Layer, Service, ServiceExt};

use super::{GaveUp, Retry, Retryable, Terms};

/// What a [`RetryLayer`] must know of requests and errors. A service that answers 503 with `Ok` is not retried:
/// turn such answers into errors below this layer.
pub trait RetryRule<R, E>: Send + Sync + 'static {
    /// The deadline of a request and whether it may be repeated.
    fn terms(&self, request: &R) -> Terms;

    /// What an error says about sending it again.
    fn retryable(&self, error: &E) -> Retryable;

    /// Marks the request with its attempt's number, from 1: a header, where the protocol has one.
    fn mark(&self, _request: &mut R, _attempt: u32) {}
}

/// Puts a [`Retry`] around a service whose requests are `Clone`.
#[derive(Debug)]
pub struct RetryLayer<Rule> {
    shared: Arc<Shared<Rule>>,
}

/// A service that sends failed requests again.
#[derive(Debug)]
pub struct Retrying<S, Rule> {
    inner: S,
    shared: Arc<Shared<Rule>>,
}

/// In one place, so that a request counts one reference.
#[derive(Debug)]
struct Shared<Rule> {
    retry: Retry,
    rule: Rule,
}

impl<Rule> RetryLayer<Rule> {
    pub(super) fn new(retry: Retry, rule: Rule) -> Self {
        RetryLayer {
            shared: Arc::new(Shared { retry, rule }),
        }
    }
}

impl<S, Rule> Layer<S> for RetryLayer<Rule> {
    type Service = Retrying<S, Rule>;

    fn layer(&self, inner: S) -> Self::Service {
        Retrying {
            inner,
            shared: self.shared.clone(),
        }
    }
}

impl<R, S, Rule> Service<R> for Retrying<S, Rule>
where
    R: Clone + Send + 'static,
    S: Service<R> + Clone + Send + 'static,
    S::Response: Send,
    S::Error: Send,
    S::Future: Send,
    Rule: RetryRule<R, S::Error>,
{
    type Response = S::Response;
    type Error = GaveUp<S::Error>;
    type Future = BoxFuture<'static, Result<S::Response, GaveUp<S::Error>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (inner, shared) = (self.inner.clone(), self.shared.clone());
        Box::pin(async move {
            let rule = &shared.rule;
            let terms = rule.terms(&request);
            // Owning what it clones, it need not be `Sync`.
            let attempt = move |attempt| {
                let mut request = request.clone();
                rule.mark(&mut request, attempt);
                inner.clone().oneshot(request)
            };
            let classify = |error: &S::Error| rule.retryable(error);
            shared.retry.call(terms, classify, attempt).await
        })
    }
}

impl<Rule> Clone for RetryLayer<Rule> {
    fn clone(&self) -> Self {
        RetryLayer {
            shared: self.shared.clone(),
        }
    }
}

impl<S: Clone, Rule> Clone for Retrying<S, Rule> {
    fn clone(&self) -> Self {
        Retrying {
            inner: self.inner.clone(),
            shared: self.shared.clone(),
        }
    }
}
