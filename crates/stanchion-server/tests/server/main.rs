//! The server from outside: through its router, and over real sockets.
#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

mod abuse;
mod admin;
mod admission;
mod api;
mod cli;
mod document;
mod errors;
mod exhausted;
mod foreign;
mod grpc;
mod guarded;
mod health;
mod idempotency;
mod input;
mod listing;
mod policies;
mod projections;
mod shop;
mod signals;
mod sockets;
mod stop;
mod subjects;
mod tls;
mod within;
