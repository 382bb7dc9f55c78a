//! The ways in (HTTP) and out (rows).

pub(crate) mod http;
pub(crate) mod rows;
