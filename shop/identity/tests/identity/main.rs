//! Identity through its router, on an embedded store.
#![allow(clippy::unwrap_used)]

mod access;
mod keys;
mod listing;
mod logging_in;
mod on_postgres;
mod passwords;
mod profiles;
mod refreshing;
mod registering;
mod sessions;
mod starting;
mod support;
