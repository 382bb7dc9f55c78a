//! Orders and their fulfilment; event-sourced.

mod adapters;
mod application;
mod domain;
