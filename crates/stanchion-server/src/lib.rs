//! Service, modules, lifecycle, health and REST with an envelope, problems and stated permissions.
#![allow(dead_code)]

mod accept;
mod access;
mod answer;
mod code;
mod context;
mod describe;
mod envelope;
mod execute;
mod extract;
mod idempotency;
mod json;
mod problem;
mod route;
mod service;

pub use access::{Access, Anyone, Authorized, Caller, Optional, StatesAccess};
pub use answer::{Answer, Event, Events, Listed, Reply};
pub use code::{Code, codes};
pub use context::{Context, RequestContext};
pub use describe::{Describe, Description};
pub use extract::{
    Body, ConsistencyToken, Deadline, Filters, IfMatch, IfNoneMatch, Listing, MergePatch, Order, Paging,
    Path, PathId, Prefer, Query, Validate, Violations,
};
pub use idempotency::{Idempotency, IdempotencyRule};
pub use problem::Problem;
pub use route::{Handler, Operation, Routes, op};
pub use service::{AdminSettings, Authenticate, AuthenticateError, CorsSettings, Module, ServerSettings};

/// Derives a schema, which every type in a request or an answer needs.
pub use utoipa::ToSchema;
