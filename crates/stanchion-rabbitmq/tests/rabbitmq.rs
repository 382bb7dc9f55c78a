//! RabbitMQ as a broker, on a real server: the suite that every broker passes, and what is its own.

#![allow(
    clippy::unwrap_used,
    reason = "a test: what it unwraps is what it asserts"
)]

mod rabbitmq {
    mod bounds;
    mod conformance;
    mod first_start;
    mod overflow;
    mod relay;
    mod security;
    mod server;
}
