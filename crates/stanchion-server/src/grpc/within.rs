use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderValue;
use http_body::Body as HttpBody;
use stanchion_auth::Principal;
use stanchion_resilience::deadline::grpc_timeout;
use stanchion_resilience::origin::Origin;
use stanchion_telemetry::trace::First;
use tonic::Code;
use tower::{Service, ServiceExt};
use tracing::Instrument;

use super::{Call, outcome, rendered, requested_timeout};
use crate::codes;
use crate::context::{Context, Lent, Waiting};
use crate::present::Present;
use crate::request_id::RequestId;

/// A way into the gRPC services of the same process, for modules that call each other through generated clients.
///
/// Hand it to [`Service::in_process`](crate::Service::in_process), which opens it, and make callers of it. A call enters
/// below admission, rate and body limits: it is part of the request that makes it, with that one's permit, deadline,
/// request id and trace. Method, access and deadline are looked at as for any other call.
///
/// ```
/// use stanchion_auth::{Permissions, Principal};
/// use stanchion_server::{InProcess, ServerSettings, Service};
///
/// let within = InProcess::default();
/// let orders = within.calling_as(Principal::service("orders", Permissions::none()).unwrap());
/// // orders is a tower service; give it to a client that tonic generated.
/// let service = Service::new(ServerSettings::default()).in_process(&within);
/// ```
#[derive(Clone, Debug, Default)]
pub struct InProcess {
    inside: Arc<OnceLock<Inside>>,
}

#[derive(Debug)]
struct Inside {
    router: Router,
    lent: Arc<Lent>,
}

/// Calls the services of the same process as one principal; clones share everything.
///
/// In a process callers are trusted to be who they say. While a user's request is served, the call is on behalf of that
/// user. Before the service has started, and in one that has no such service, calls are `UNAVAILABLE` and
/// `UNIMPLEMENTED`.
#[derive(Clone, Debug)]
pub struct InProcessCaller {
    within: InProcess,
    principal: Principal,
}

/// Who calls within the process. Nobody outside of this module can make one, so no request from a socket has it.
#[derive(Clone, Debug)]
pub(crate) struct Trusted(pub(super) Principal);

impl InProcess {
    /// A caller that is this principal.
    #[must_use]
    pub fn calling_as(&self, principal: Principal) -> InProcessCaller {
        let within = self.clone();
        InProcessCaller { within, principal }
    }

    /// From now on calls arrive.
    pub(crate) fn open(&self, router: Router, lent: Arc<Lent>) {
        let _ = self.inside.set(Inside { router, lent });
    }
}

impl InProcessCaller {
    fn principal(&self, of: Option<&Context>) -> Principal {
        let user = of.and_then(|context| context.principal()?.acting_user());
        let principal = self.principal.clone();
        match user {
            Some(user) => principal.on_behalf_of(user),
            None => principal,
        }
    }

    async fn serve(self, mut request: Request) -> Response {
        let Some(inside) = self.within.inside.get() else {
            let problem = codes::UNAVAILABLE.problem();
            return rendered(&problem.message("The service has not started yet."));
        };
        let caller = Context::current();
        let id = caller.as_ref().map(|caller| caller.request_id);
        let new = || RequestId::from(&*stanchion_runtime::id::new_v7().to_string());
        let id = id.unwrap_or_else(new);
        shorten(&mut request, caller.as_deref());
        let present = Present::of(request.headers());
        let lent = Arc::clone(&inside.lent);
        let context = Arc::new(Context::new(id, &request, lent, None, present));
        let principal = self.principal(caller.as_deref());
        request.extensions_mut().insert(Trusted(principal));
        request.extensions_mut().insert(Arc::clone(&context));
        let span = tracing::info_span!("grpc.call", path = %request.uri().path());
        let served = inside.router.clone().oneshot(request);
        let served = Arc::clone(&context).scope(served).instrument(span).await;
        let mut response = served.into_response();
        let has_failed = outcome(response.headers()).is_some_and(|code| code != Code::Ok);
        if let Some(caller) = caller.filter(|_| has_failed && context.has_given_up()) {
            // Its own answer goes out, if any does.
            Origin::gave_up(&*caller);
        }
        // A stream ends with its deadline and with the service, as one over the network does.
        let waiting = response.extensions_mut().remove::<Arc<Waiting>>();
        match waiting {
            Some(waiting) => {
                Call::watch(response, context, First::current(), move |_| drop(waiting))
            }
            None => response,
        }
    }
}

/// The call ends with the request that makes it, whatever was given for it; what is malformed is refused later.
fn shorten(request: &mut Request, caller: Option<&Context>) {
    let Some(left) = caller.and_then(Context::remaining) else {
        return;
    };
    let Ok(given) = requested_timeout(request.headers()) else {
        return;
    };
    let left = given.map_or(left, |given| given.min(left));
    if let Ok(left) = HeaderValue::from_str(&grpc_timeout(left)) {
        request.headers_mut().insert("grpc-timeout", left);
    }
}

impl<B> Service<http::Request<B>> for InProcessCaller
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let caller = self.clone();
        let request = request.map(Body::new);
        Box::pin(async move { Ok(caller.serve(request).await) })
    }
}
