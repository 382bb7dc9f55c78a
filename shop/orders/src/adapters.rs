//! Ways in and out: REST, gRPC, rows, announcements, consumers, the catalogue.

pub(crate) mod announce;
pub(crate) mod consumers;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod inventory_catalog;
pub(crate) mod projections;
