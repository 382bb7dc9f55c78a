//! How the outside reaches inventory, and how inventory reaches its rows.

pub(crate) mod announce;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod projections;
#[cfg(test)]
mod registry;
pub(crate) mod told;
