//! The ways in (HTTP, gRPC) and out (rows), and identity as other processes have it.

pub(crate) mod announce;
pub(crate) mod elsewhere;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod rows;
mod way;
