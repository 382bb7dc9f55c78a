//! Projections: applied once, halted in sight, rebuilt beside their readers.
#![allow(clippy::unwrap_used)]

mod accounts;
mod basics;
mod halts;
mod inline;
mod kills;
mod operations;
mod other_logs;
mod rebuilds;
#[path = "../support/mod.rs"]
mod support;
mod swaps;
mod turns;
