//! Payments and their ledger: pure rules, no I/O.

pub(crate) mod ledger;
pub(crate) mod payment;
