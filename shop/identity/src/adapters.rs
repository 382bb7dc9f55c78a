//! The ways in (HTTP, gRPC) and out (rows).

pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod rows;
