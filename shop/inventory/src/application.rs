//! The use cases: a file each.

pub(crate) mod known;
pub(crate) mod products;
pub(crate) mod reservations;
pub(crate) mod stockkeeper;
