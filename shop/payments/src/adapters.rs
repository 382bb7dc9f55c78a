//! How payments meet the outside: the gateway, other contexts, HTTP, rows.

pub(crate) mod announce;
pub(crate) mod consumers;
pub(crate) mod gateway;
pub(crate) mod grpc;
pub(crate) mod guard;
pub(crate) mod http;
pub(crate) mod projections;
