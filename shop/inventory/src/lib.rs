//! Products, stock and reservations; event-sourced.
