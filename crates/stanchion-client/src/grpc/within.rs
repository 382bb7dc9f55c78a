//! A service of the same process.

use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use http_body::Body as HttpBody;
use stanchion_resilience::deadline::{grpc_timeout, parse_grpc_timeout};
use stanchion_resilience::{Moment, origin};
use tonic::Status;
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

use crate::line::BoxError;

const TIMEOUT: &str = "grpc-timeout";

#[derive(Clone)]
pub(super) struct Within(BoxCloneSyncService<Request<Body>, Response<Body>, Status>);

impl Within {
    pub(super) fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: HttpBody<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let service = service
            .map_response(|response| response.map(Body::new))
            .map_err(|error: S::Error| Status::from_error(error.into()));
        Self(BoxCloneSyncService::new(service))
    }

    /// The call gets what the request being served has left, and is dropped with it.
    pub(super) fn call(
        &self,
        mut request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, Status>> {
        let deadline = origin::deadline();
        if deadline.moment().is_some() {
            let left = deadline.left(Moment::now());
            let given = request.headers().get(TIMEOUT);
            let given = given.and_then(|value| parse_grpc_timeout(value.to_str().ok()?));
            let left = given.map_or(left, |given| given.min(left));
            if let Ok(left) = HeaderValue::from_str(&grpc_timeout(left)) {
                request.headers_mut().insert(TIMEOUT, left);
            }
        }
        let service = self.0.clone();
        Box::pin(async move { service.oneshot(request).await })
    }
}
