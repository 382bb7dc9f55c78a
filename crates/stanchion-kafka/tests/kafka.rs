//! Kafka as a broker, on the broker that the client brings for tests: no real Kafka can be had here.

#![allow(
    clippy::unwrap_used,
    reason = "a test: what it unwraps is what it asserts"
)]

mod kafka {
    mod conformance;
    mod files;
    mod rebalance;
    mod server;
}
