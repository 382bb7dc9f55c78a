//! Orders and their fulfilment; event-sourced.

mod domain;
