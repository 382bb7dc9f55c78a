//! Service, modules, lifecycle, health and REST with an envelope, problems and stated permissions.

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
mod route;
mod service;
mod stack;
mod timely;

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
