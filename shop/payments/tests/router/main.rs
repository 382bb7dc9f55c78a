//! Payments through its routes and messages: a real service on embedded storage, a real sandbox.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod answering;
mod harness;
mod hearing;
mod ledger;
mod listing;
mod recovering;
mod refunding;
