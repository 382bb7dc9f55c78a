//! The server from outside: through its router, and over real sockets.
#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

mod admin;
mod api;
mod document;
mod errors;
mod health;
mod idempotency;
mod input;
mod listing;
mod shop;
mod sockets;
mod stop;
