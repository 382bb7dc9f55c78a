use std::collections::BTreeMap;

use super::Method;
use crate::Access;

/// The methods of a gRPC service with who may call each. Not for implementing by hand: [`grpc_methods!`](crate::grpc_methods!)
/// reads it off the methods themselves.
pub trait StatesMethods {
    /// A method, named as its function is, and what the function's first argument states.
    const METHODS: &'static [(&'static str, Access)];
}

/// The methods of a gRPC service, each with its caller as the first argument, as a REST handler has it.
///
/// What stands between the braces is the implementation of the trait that tonic generated, but that each method takes who may
/// call it before the message: `Authorized<P>`, `Guarded<P>`, `Caller`, `Optional` or `Anyone`. A method that states
/// nothing does not compile, and what [`Grpc::stated_by`](crate::Grpc::stated_by) tells is what the methods take: there is no
/// second list to forget one in. Types of streams come first.
///
/// ```
/// use stanchion_server::{Anyone, Caller, Grpc, grpc_methods};
/// use tonic::{Request, Response, Status};
/// // Any service that tonic generates; this one is at hand.
/// use tonic_health::pb::health_server::{Health, HealthServer};
/// use tonic_health::pb::{FILE_DESCRIPTOR_SET, HealthCheckRequest, HealthCheckResponse};
///
/// struct Api;
///
/// grpc_methods! {
///     impl Health for Api {
///         type WatchStream = futures_util::stream::Empty<Result<HealthCheckResponse, Status>>;
///
///         async fn check(
///             &self,
///             _: Anyone,
///             _: Request<HealthCheckRequest>,
///         ) -> Result<Response<HealthCheckResponse>, Status> {
///             Ok(Response::new(HealthCheckResponse::default()))
///         }
///
///         async fn watch(
///             &self,
///             caller: Caller,
///             request: Request<HealthCheckRequest>,
///         ) -> Result<Response<Self::WatchStream>, Status> {
///             println!("{} watches {}", caller.subject, request.get_ref().service);
///             Ok(Response::new(futures_util::stream::empty()))
///         }
///     }
/// }
///
/// let grpc = Grpc::stated_by::<Api>(HealthServer::new(Api), FILE_DESCRIPTOR_SET);
/// ```
///
/// ```compile_fail
/// # use stanchion_server::{Anyone, grpc_methods};
/// # use tonic::{Request, Response, Status};
/// # use tonic_health::pb::health_server::Health;
/// # use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
/// # struct Api;
/// grpc_methods! {
///     impl Health for Api {
///         type WatchStream = futures_util::stream::Empty<Result<HealthCheckResponse, Status>>;
///
///         // Nobody said who may call it.
///         async fn check(
///             &self,
///             _: Request<HealthCheckRequest>,
///         ) -> Result<Response<HealthCheckResponse>, Status> {
///             Ok(Response::new(HealthCheckResponse::default()))
///         }
/// #       async fn watch(&self, _: Anyone, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
/// #           Ok(Response::new(futures_util::stream::empty()))
/// #       }
///     }
/// }
/// ```
#[macro_export]
macro_rules! grpc_methods {
    (impl $service:ident for $api:ty {
        $(type $stream:ident = $streamed:ty;)*
        $(
            $(#[$about:meta])*
            async fn $method:ident(
                &$this:ident,
                $caller:tt: $access:ty,
                $request:tt: $asked:ty $(,)?
            ) -> $answer:ty { $($body:tt)* }
        )*
    }) => {
        #[$crate::__grpc::async_trait]
        impl $service for $api {
            $(type $stream = $streamed;)*
            $(
                $(#[$about])*
                async fn $method(&$this, $request: $asked) -> $answer {
                    let $caller: $access = $crate::access::<$access>()?;
                    $($body)*
                }
            )*
        }

        impl $crate::StatesMethods for $api {
            const METHODS: &'static [(&'static str, $crate::Access)] = &[
                $((stringify!($method), <$access as $crate::StatesAccess>::ACCESS)),*
            ];
        }
    };
}

/// Writes down who may call what.
///
/// # Panics
/// A statement is about no method: the functions are another service's.
pub(super) fn stated(
    service: &str,
    methods: &mut BTreeMap<String, Method>,
    stated: &[(&str, Access)],
) {
    for (function, access) in stated {
        let mut methods = methods.iter_mut();
        let method = methods.find(|(name, _)| letters(name) == letters(function));
        let Some((_, method)) = method else {
            panic!("`{service}` has no method for the function `{function}`");
        };
        method.access = Some(*access);
    }
}

/// A name without what tells `GetJwks` from `get_jwks`: how words are cut is the generator's affair.
fn letters(name: &str) -> String {
    let name = name.strip_prefix("r#").unwrap_or(name);
    let letters = name.chars().filter(|letter| *letter != '_');
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}
