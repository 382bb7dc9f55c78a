//! Rows made of the log: a file a projection.

pub(crate) mod order_summaries;
