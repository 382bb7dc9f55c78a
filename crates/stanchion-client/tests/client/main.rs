//! The client over real sockets, against servers that do as they are told.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests stand outside of test functions"
)]

mod balancing;
mod breaking;
mod deadlines;
mod grpc;
mod host;
mod outside;
mod restarts;
mod retrying;
mod tiers;
mod tls;
mod transport;
