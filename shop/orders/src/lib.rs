//! Orders and their fulfilment; event-sourced.
//!
//! An order is priced by the catalogue, placed, and then taken through stock and payment by its
//! fulfilment, a process manager that goes forward step by step or undoes what was done. Every
//! order ends confirmed, rejected or cancelled, and stock and money agree with it.

mod adapters;
mod application;
mod domain;
mod module;

pub use adapters::guard::{POLICIES, guarded_order, vocabulary};
pub use adapters::inventory_catalog::InventoryCatalog;
pub use application::ports::{Catalog, CatalogUnavailable, Priced};
pub use module::{Dependencies, default_step_timeout, migrations, module, relay};
