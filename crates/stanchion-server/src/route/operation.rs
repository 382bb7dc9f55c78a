use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use http::Method;
use stanchion_resilience::Priority;

use super::Handler;
use crate::answer::Outcome;
use crate::describe::Description;
use crate::{Access, Code, IdempotencyRule};

type Call<S> = Arc<dyn Fn(Request, S) -> Called + Send + Sync>;

/// A handler at work.
type Called = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A handler with what is said about it.
#[derive(Clone)]
pub struct Operation<S = ()> {
    pub(crate) summary: &'static str,
    pub(crate) about: &'static str,
    pub(crate) name: String,
    pub(crate) tag: Option<&'static str>,
    pub(crate) codes: Vec<Code>,
    pub(crate) statuses: Vec<u16>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) body_bytes_max: Option<usize>,
    pub(crate) idempotency: Option<IdempotencyRule>,
    pub(crate) priority: Option<Priority>,
    pub(crate) access: Access,
    pub(crate) describe: fn(&mut Description),
    call: Call<S>,
}

/// An operation: one line of what it does, and the async fn that does it.
///
/// The function's name is the operation's id in the OpenAPI document.
///
/// # Panics
/// The handler is a closure: it has no name.
#[must_use]
pub fn op<S, X, H: Handler<S, X>>(summary: &'static str, handler: H) -> Operation<S> {
    let name = function_name::<H>();
    Operation {
        summary,
        about: "",
        name,
        tag: None,
        codes: Vec::new(),
        statuses: Vec::new(),
        deadline: None,
        body_bytes_max: None,
        idempotency: None,
        priority: None,
        access: H::ACCESS,
        describe: H::describe,
        call: Arc::new(move |request, state| handler.clone().call(request, state)),
    }
}

impl<S: Clone + Send + Sync + 'static> Operation<S> {
    /// The errors of the domain it may answer with; those of its extractors are known.
    #[must_use]
    pub fn errors(mut self, codes: &[Code]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }

    /// More than the summary says, in Markdown.
    #[must_use]
    pub fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Its id in the document, when the function's name is taken in the same module.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.name = id.to_owned();
        self
    }

    /// The tag it is listed under; the module's name unless given.
    #[must_use]
    pub fn tag(mut self, tag: &'static str) -> Self {
        self.tag = Some(tag);
        self
    }

    /// How long it may take, instead of the service's request timeout.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The largest body it takes, in bytes, after decompression; 1 MiB unless given.
    #[must_use]
    pub fn body_bytes_max(mut self, max: usize) -> Self {
        self.body_bytes_max = Some(max);
        self
    }

    /// What it does with `Idempotency-Key`; an authenticated `POST` accepts it unless told otherwise.
    #[must_use]
    pub fn idempotency(mut self, rule: IdempotencyRule) -> Self {
        self.idempotency = Some(rule);
        self
    }

    /// How much its requests matter under overload, instead of what the module says. A caller can lower it for one
    /// request by `X-Request-Priority: background` (or `normal`, `bulk`), never raise it.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// The status of its success; 200 with data and 204 without unless given. Several calls, several statuses.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.statuses.push(status);
        self
    }

    pub(crate) fn idempotency_rule(&self, method: &Method, has_inbox: bool) -> IdempotencyRule {
        let authenticated = !matches!(self.access, Access::Public | Access::Optional);
        let usual = if *method == Method::POST && authenticated && has_inbox {
            IdempotencyRule::Accepted
        } else {
            IdempotencyRule::Ignored
        };
        self.idempotency.unwrap_or(usual)
    }

    pub(crate) fn call(&self, request: Request, state: S) -> Called {
        (self.call)(request, state)
    }

    pub(crate) fn with_state(self, state: S) -> Operation {
        let call = self.call;
        Operation {
            summary: self.summary,
            about: self.about,
            name: self.name,
            tag: self.tag,
            codes: self.codes,
            statuses: self.statuses,
            deadline: self.deadline,
            body_bytes_max: self.body_bytes_max,
            idempotency: self.idempotency,
            priority: self.priority,
            access: self.access,
            describe: self.describe,
            call: Arc::new(move |request, ()| call(request, state.clone())),
        }
    }
}

impl<S> std::fmt::Debug for Operation<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Operation({}, {})", self.name, self.access)
    }
}

fn function_name<H>() -> String {
    let path = std::any::type_name::<H>();
    let path = path.split('<').next().unwrap_or(path);
    let name = path.rsplit("::").next().unwrap_or(path);
    assert!(
        !name.starts_with('{'),
        "a handler is an async fn with a name, not a closure: {path}"
    );
    name.to_owned()
}
