//! Subscriptions and replays over the log in memory.
#![allow(clippy::unwrap_used)]

mod following;
mod hurt;
mod replaying;
mod support;
