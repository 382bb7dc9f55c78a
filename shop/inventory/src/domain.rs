//! The rules: what a product and a reservation may do. Pure.

pub(crate) mod product;
pub(crate) mod reservation;
