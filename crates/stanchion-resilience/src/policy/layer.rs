//! The tower form.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tower::{Layer, Service, ServiceExt};

use super::{Attempt, Judge, Policy, PolicyError};
use crate::retry::Terms;

/// What a [`PolicyLayer`] must know of requests, beside what [`Judge`] says of answers and errors.
pub trait PolicyRule<R, T, E>: Judge<T, E> + 'static {
    /// The deadline of a request and what sending it twice does.
    fn terms(&self, request: &R) -> Terms;

    /// Marks the request with its attempt's number and time left: headers, where the protocol has them.
    fn mark(&self, _request: &mut R, _attempt: Attempt) {}
}

/// Puts a [`Policy`] around a service whose requests are `Clone`.
#[derive(Debug)]
pub struct PolicyLayer<Rule> {
    policy: Policy,
    rule: Arc<Rule>,
}

/// A service behind a [`Policy`]. It is always ready: the policy decides before the inner service is asked.
#[derive(Debug)]
pub struct Guarding<S, Rule> {
    inner: S,
    policy: Policy,
    rule: Arc<Rule>,
}

impl<Rule> PolicyLayer<Rule> {
    pub(super) fn new(policy: Policy, rule: Rule) -> Self {
        PolicyLayer {
            policy,
            rule: Arc::new(rule),
        }
    }
}

impl<S, Rule> Layer<S> for PolicyLayer<Rule> {
    type Service = Guarding<S, Rule>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarding {
            inner,
            policy: self.policy.clone(),
            rule: self.rule.clone(),
        }
    }
}

impl<R, S, Rule> Service<R> for Guarding<S, Rule>
where
    R: Clone + Send + 'static,
    S: Service<R> + Clone + Send + 'static,
    S::Response: Send,
    S::Error: Send,
    S::Future: Send,
    Rule: PolicyRule<R, S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = PolicyError<S::Error>;
    type Future = BoxFuture<'static, Result<S::Response, PolicyError<S::Error>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (inner, policy, rule) = (self.inner.clone(), self.policy.clone(), self.rule.clone());
        Box::pin(async move {
            let terms = rule.terms(&request);
            // Two tries may be made beside each other, by one task: the lock is free, and spares services `Sync`.
            let both = Mutex::new((inner, request));
            let one_try = |attempt| {
                let (inner, mut request) = both.lock().clone();
                rule.mark(&mut request, attempt);
                inner.oneshot(request)
            };
            policy.call(terms, &*rule, one_try).await
        })
    }
}

impl<Rule> Clone for PolicyLayer<Rule> {
    fn clone(&self) -> Self {
        PolicyLayer {
            policy: self.policy.clone(),
            rule: self.rule.clone(),
        }
    }
}

impl<S: Clone, Rule> Clone for Guarding<S, Rule> {
    fn clone(&self) -> Self {
        Guarding {
            inner: self.inner.clone(),
            policy: self.policy.clone(),
            rule: self.rule.clone(),
        }
    }
}
