//! Service, modules, lifecycle, health and REST with an envelope, problems and stated permissions.
//!
//! A [`Service`] is a process: [`Module`]s behind one port, the operator's port beside it, and the protocol by which it stops.
//!
//! ```no_run
//! use stanchion_server::{AdminSettings, Module, ServerSettings, Service, Stopped};
//!
//! # fn application() -> axum::Router { axum::Router::new() }
//! #[tokio::main]
//! async fn main() -> Stopped {
//!     let module = Module::new("hello").http_router(application());
//!     let service = Service::new(ServerSettings::default()).mount(module);
//!     service.admin(AdminSettings::default()).run().await
//! }
//! ```
//!
//! | for | take |
//! |---|---|
//! | an axum router or a tonic service that is there already | [`Module::http_router`], as above; it stays as it is |
//! | handlers that are described in OpenAPI | [`Routes`] of [`op`]; a handler without a statement of who may call it does not compile |
//! | who may call: a handler's first argument | [`Authorized`], [`Guarded`], [`Caller`], [`Optional`], [`Anyone`] |
//! | what comes in | [`Body`], [`Path`], [`PathId`], [`Query`], [`Listing`], [`IfMatch`], [`Prefer`], [`Deadline`] |
//! | what goes out | [`Answer`], [`Page`], [`Events`], [`Html`]; what went wrong, [`Problem`] |
//! | a request that may come twice | [`Idempotency`] |
//! | gRPC on the same port | [`Grpc`], [`grpc_methods!`] |
//! | work beside requests, and what must be there for them | [`Module::worker`], [`Module::ready_when`] |
//! | a command line with everything an operator does | [`ServiceCli`] |

mod accept;
mod access;
mod admin;
mod admission;
mod answer;
mod cli;
mod code;
mod context;
mod describe;
mod envelope;
mod execute;
mod extract;
mod grpc;
mod idempotency;
mod json;
mod lifecycle;
mod metrics;
mod net;
mod present;
mod problem;
mod request_id;
mod route;
mod service;
mod stack;
mod timely;
mod words;

pub use access::{Access, Anyone, Authorized, Caller, Guarded, Optional, StatesAccess};
pub use admission::{AdmissionSettings, network};
pub use answer::{Answer, Event, Events, Html, Listed, Page, Plain, Reply, Verbatim};
pub use cli::{LogTask, Migration, Options, Purpose, ServiceCli, ask_operated};
pub use code::{Code, codes};
pub use context::{Context, RequestContext};
pub use describe::{Describe, Description};
pub use extract::{
    Body, ConsistencyToken, Deadline, Filters, IfMatch, IfNoneMatch, Listing, MergePatch, Order,
    Paging, Path, PathId, Prefer, Query, Validate, Violations,
};
pub use grpc::{
    AsService, Grpc, InProcess, InProcessCaller, StatesMethods, access, answered, metadata, once,
    respond,
};
pub use idempotency::{Idempotency, IdempotencyRule};
pub use lifecycle::{Addresses, Running, StartError, Stopped, Stuck, run};
pub use net::ClientCertificates;
pub use problem::Problem;
pub use route::{Handler, Operation, Routes, op};
pub use service::{
    AdminSettings, Authenticate, AuthenticateError, ClientProof, CorsSettings, ForwardedBy, Module,
    Role, ServerSettings, Service, TlsSettings, TlsVersion, only_for,
};

/// What [`grpc_methods!`] names.
#[doc(hidden)]
pub mod __grpc {
    pub use async_trait::async_trait;
}

/// How much a request matters, see [`Operation::priority`], [`Module::priority`] and [`Grpc::priority`].
pub use stanchion_resilience::Priority;
/// Derives a schema, which every type in a request or an answer needs.
pub use utoipa::ToSchema;
