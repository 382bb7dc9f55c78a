//! The rules: what a product and a reservation may do. Pure.

pub(crate) mod product;
#[cfg(test)]
mod registry;
pub(crate) mod reservation;
