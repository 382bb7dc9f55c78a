//! Inventory: products, stock and reservations; event-sourced.
//!
//! A product is a stream of its own; a reservation decides each step in its stream before the
//! stockkeeper does it product by product. Lists are rows of a projection.

mod adapters;
mod application;
mod domain;
mod module;

pub use application::known::{KnownProduct, ProductCache};
pub use application::products::{Priced, Products};
pub use module::{Dependencies, Inventory, migrations, relay};
