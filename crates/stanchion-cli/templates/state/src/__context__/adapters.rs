//! The ways in and out.

pub(crate) mod announce;
pub(crate) mod grpc;
pub(crate) mod http;
mod problem;
pub(crate) mod rows;
// <adapters>
// </adapters>
