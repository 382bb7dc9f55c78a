//! Orders through its routes: a real service on embedded storage, inventory and payments by script.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod bad_input;
mod cancelling;
mod catalog;
mod harness;
mod listing;
mod placing;
mod reading;
mod settling;
mod stand_in;
mod vault;
mod watching;
