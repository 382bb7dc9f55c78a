//! How payments meet the outside: the gateway, other contexts, HTTP, rows.

pub(crate) mod announce;
