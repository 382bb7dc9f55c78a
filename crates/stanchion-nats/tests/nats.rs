//! The adapter on real servers.

#![allow(clippy::unwrap_used, reason = "what a test unwraps is what it asserts")]

mod nats {
    mod conformance;
    mod faults;
    mod security;
    mod stores;
    mod support;
}
