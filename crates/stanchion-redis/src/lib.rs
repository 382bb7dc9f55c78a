//! What needs Redis: a rate limit and a cache tier that all processes share.
//!
//! The only crate that knows the Redis client. It needs Redis 6 or later, or Valkey: one server, or a primary with
//! replicas. Nothing here waits for Redis longer than its budget, and nothing depends on a client's clock.

mod budget;
pub mod cache;
pub mod rate;
