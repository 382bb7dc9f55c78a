//! Payments and the gateway; event-sourced.

mod adapters;
mod application;
mod domain;
