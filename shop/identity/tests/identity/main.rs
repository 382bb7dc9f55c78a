//! Identity through its router, on an embedded store.
#![allow(clippy::unwrap_used)]

mod access;
mod addresses;
mod api_keys;
mod keys;
mod listing;
mod logging_in;
mod mails;
mod on_postgres;
mod overlap;
mod passwords;
mod profiles;
mod recovering;
mod refreshing;
mod registering;
mod service_keys;
mod sessions;
mod starting;
mod support;
mod telling;
