use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use prost::Message;
use prost_types::FileDescriptorSet;
use stanchion_resilience::Priority;
use tonic::server::NamedService;
use tower::{Service, ServiceExt};

use super::Inner;
use super::methods::{StatesMethods, stated};
use crate::{Access, StatesAccess};

/// A gRPC service that tonic generated, with who may call which of its methods.
///
/// Every method states its access, or the service does not start: nothing is public by omission. A service of ours states it
/// in its methods' arguments, [`grpc_methods!`](crate::grpc_methods!); one that somebody else wrote is told of from outside, by
/// [`allow`](Self::allow). The descriptors are what the build wrote (`file_descriptor_set_path`); reflection shows them.
///
/// ```
/// # use stanchion_server::{Anyone, Grpc, Module};
/// // Any service that tonic generates; this one is at hand.
/// let (_, service) = tonic_health::server::health_reporter();
/// let descriptors = tonic_health::pb::FILE_DESCRIPTOR_SET;
/// let grpc = Grpc::new(service, descriptors).allow::<Anyone>("Check").allow::<Anyone>("Watch");
/// let module = Module::new("own").grpc(grpc);
/// ```
pub struct Grpc {
    pub(crate) name: &'static str,
    pub(crate) service: Inner,
    pub(crate) methods: BTreeMap<String, Method>,
    pub(crate) priority: Option<Priority>,
    pub(crate) descriptors: &'static [u8],
}

/// A method, as its descriptor has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method {
    pub(crate) access: Option<Access>,
    /// Either side may send several messages: its time is bounded otherwise.
    pub(crate) streams: bool,
    pub(crate) priority: Option<Priority>,
}

impl Grpc {
    /// A service and the encoded `FileDescriptorSet` that describes it.
    ///
    /// # Panics
    /// The descriptors cannot be read, or do not describe the service: a mistake of the build.
    #[must_use]
    pub fn new<S>(service: S, descriptors: &'static [u8]) -> Self
    where
        S: Service<Request, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Future: Send,
    {
        let service = service.map_response(IntoResponse::into_response);
        let serve = move |request: Request| -> BoxFuture<'static, Result<Response, Infallible>> {
            Box::pin(service.clone().oneshot(request))
        };
        Self {
            name: S::NAME,
            service: Arc::new(serve),
            methods: methods(S::NAME, descriptors),
            priority: None,
            descriptors,
        }
    }

    /// A service whose methods state who may call them: `T` is what [`grpc_methods!`](crate::grpc_methods!) made it of.
    ///
    /// # Panics
    /// As [`new`](Self::new), and when `T` has the methods of another service.
    #[must_use]
    pub fn stated_by<T: StatesMethods>(
        service: impl Service<Request, Error = Infallible, Response: IntoResponse, Future: Send>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
        descriptors: &'static [u8],
    ) -> Self {
        let mut grpc = Self::new(service, descriptors);
        stated(grpc.name, &mut grpc.methods, T::METHODS);
        grpc
    }

    /// States who may call a method of a service that states nothing itself: `Anyone`, `Optional`, `Caller`, `Guarded<P>` or
    /// `Authorized<P>`.
    ///
    /// Streams that `Anyone` may open are at most 64 at once, all methods together, and take no place of
    /// `waiting_max`; one more is `UNAVAILABLE`.
    ///
    /// # Panics
    /// The service has no such method, or its access was stated before.
    #[must_use]
    pub fn allow<A: StatesAccess>(mut self, method: &str) -> Self {
        let name = self.name;
        let Some(found) = self.methods.get_mut(method) else {
            panic!("`{name}` has no method `{method}`");
        };
        let before = found.access.replace(A::ACCESS);
        assert!(
            before.is_none(),
            "`{name}/{method}` states its access twice"
        );
        self
    }

    /// How much its calls matter under overload, instead of what the module says. A caller can lower it for one call by
    /// the metadata `x-request-priority: background` (or `normal`, `bulk`), never raise it.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// The same for one method.
    ///
    /// # Panics
    /// The service has no such method.
    #[must_use]
    pub fn priority_of(mut self, method: &str, priority: Priority) -> Self {
        let name = self.name;
        let Some(found) = self.methods.get_mut(method) else {
            panic!("`{name}` has no method `{method}`");
        };
        found.priority = Some(priority);
        self
    }
}

fn methods(name: &str, descriptors: &[u8]) -> BTreeMap<String, Method> {
    let set = FileDescriptorSet::decode(descriptors);
    let set = set.unwrap_or_else(|error| panic!("the descriptors of `{name}`: {error}"));
    let service = set.file.iter().find_map(|file| {
        let within = name.strip_prefix(file.package())?;
        let within = within.strip_prefix('.').unwrap_or(within);
        file.service.iter().find(|service| service.name() == within)
    });
    let service = service.unwrap_or_else(|| panic!("no descriptor describes `{name}`"));
    let methods = service.method.iter().map(|method| {
        let streams = method.client_streaming() || method.server_streaming();
        let method_of = Method {
            access: None,
            streams,
            priority: None,
        };
        (method.name().to_owned(), method_of)
    });
    methods.collect()
}

impl fmt::Debug for Grpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grpc")
            .field("name", &self.name)
            .field("methods", &self.methods)
            .finish_non_exhaustive()
    }
}
