//! The SMTP adapter against a server that is not ours, and against some that are up to no good.
#![allow(clippy::unwrap_used)]

mod hostile;
mod server;
mod support;
