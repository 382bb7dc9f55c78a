//! Ways in and out: REST, gRPC, rows, announcements, consumers, the catalogue.

pub(crate) mod announce;
pub(crate) mod consumers;
#[cfg(debug_assertions)]
pub(crate) mod failpoint;
pub(crate) mod grpc;
pub(crate) mod guard;
pub(crate) mod http;
pub(crate) mod inventory_catalog;
pub(crate) mod projections;
