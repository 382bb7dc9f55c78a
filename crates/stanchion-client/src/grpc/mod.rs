//! gRPC: the channel that a client which tonic generated takes.

mod body;
mod methods;
mod remote;
mod status;
mod within;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http_body::Body as HttpBody;
use stanchion_resilience::policy::Policy;
use stanchion_telemetry::Metrics;
use tonic::Status;
use tonic::body::Body;
use tower::Service;

use crate::line::{BoxError, Line, Protocol};
use crate::{ClientSettings, Discovery, SetupError};
use methods::Methods;
use remote::Remote;
use within::Within;

/// The way to one gRPC dependency; clones share everything.
///
/// It is a tower service, which generated clients take (`InventoryServiceClient::new(channel)`), with interceptors as
/// for any other. What kind of call a method is comes from the [descriptors](Self::describe): of a **unary** call the
/// policy guards everything up to its status; of a **stream** it guards until the head of the answer, and then the
/// stream keeps a place of `streams_max` until it ends. Without descriptors a call is taken for a stream.
///
/// What repeating a call does is, in this order: an [`Effect`](crate::Effect) among the request's extensions; the method
/// option `idempotency_level` in the `.proto` (`NO_SIDE_EFFECTS` is a read and may be hedged, `IDEMPOTENT` may be
/// repeated); an `idempotency-key` in the metadata; else it is sent once. A request that is still being made when it is
/// sent (client streams) is sent once in any case.
///
/// Errors are `tonic::Status`: the dependency's own, or `UNAVAILABLE`, `DEADLINE_EXCEEDED` and `RESOURCE_EXHAUSTED` from
/// here with the [`ClientError`](crate::ClientError) as their source; [`ClientError::of_status`] finds it.
///
/// [`ClientError::of_status`]: crate::ClientError::of_status
#[derive(Clone)]
pub struct GrpcChannel {
    way: Way,
    methods: Arc<Methods>,
}

#[derive(Clone)]
enum Way {
    Remote(Arc<Line>),
    Within(Within),
}

impl GrpcChannel {
    /// A channel to the dependency `name` at `url`, over HTTP/2 with or without TLS. Makes no connection yet.
    ///
    /// # Errors
    /// [`SetupError`]: the URL, an address, or a certificate cannot be used.
    pub fn new(
        name: &str,
        url: &str,
        settings: &ClientSettings,
        metrics: &Metrics,
    ) -> Result<Self, SetupError> {
        let line = Line::new(name, url, Protocol::Http2, settings, metrics, None)?;
        Ok(Self::over(Way::Remote(line)))
    }

    /// The same with hosts from elsewhere than the URL; its host is still what TLS names.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_discovery(
        name: &str,
        url: &str,
        discovery: Discovery,
        settings: &ClientSettings,
        metrics: &Metrics,
    ) -> Result<Self, SetupError> {
        let (protocol, discovery) = (Protocol::Http2, Some(discovery));
        let line = Line::new(name, url, protocol, settings, metrics, discovery)?;
        Ok(Self::over(Way::Remote(line)))
    }

    /// A channel into a service of the same process: no network, no policy, the same deadline, request id and trace.
    pub fn within<S, B>(service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<B>>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: HttpBody<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::over(Way::Within(Within::new(service)))
    }

    /// Tells it what its methods are: the encoded `FileDescriptorSet` that the build wrote, once a package.
    ///
    /// # Errors
    /// [`SetupError::Descriptors`]
    pub fn describe(mut self, descriptors: &[u8]) -> Result<Self, SetupError> {
        let mut methods = (*self.methods).clone();
        methods.add(descriptors)?;
        self.methods = Arc::new(methods);
        Ok(self)
    }

    /// The policy around its calls, for an operator; none within the process.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        match &self.way {
            Way::Remote(line) => Some(&line.policy),
            Way::Within(_) => None,
        }
    }

    /// Whether nobody on the way can read what is sent: TLS, a loopback address, or the same process.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match &self.way {
            Way::Remote(line) => line.target.is_private(),
            Way::Within(_) => true,
        }
    }

    fn over(way: Way) -> Self {
        let methods = Arc::default();
        Self { way, methods }
    }
}

impl Service<http::Request<Body>> for GrpcChannel {
    type Response = http::Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        // The policy decides when the call is made: it must be known to be judged.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match &self.way {
            Way::Within(within) => within.call(request),
            Way::Remote(line) => {
                let line = Arc::clone(line);
                let method = self.methods.of(request.uri().path());
                Box::pin(async move { Remote::of(&line, method, request).await?.send().await })
            }
        }
    }
}

impl fmt::Debug for GrpcChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = match &self.way {
            Way::Remote(line) => &line.name,
            Way::Within(_) => "this process",
        };
        f.debug_tuple("GrpcChannel").field(&to).finish()
    }
}
