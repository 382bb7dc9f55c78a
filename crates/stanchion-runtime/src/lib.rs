//! The one home of wall clock, randomness and spawned tasks.
