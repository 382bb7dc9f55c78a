//! Rows made of the log.

pub(crate) mod ledger_entries;
pub(crate) mod payments;
