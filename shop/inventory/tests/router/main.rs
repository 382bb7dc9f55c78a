//! Inventory through its routes and its contracts: a real service on embedded storage.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod bad_input;
mod harness;
mod products;
mod reservations;
