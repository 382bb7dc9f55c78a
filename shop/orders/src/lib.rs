//! Orders and their fulfilment; event-sourced.
