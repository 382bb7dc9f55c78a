//! Payments and the gateway; event-sourced.
