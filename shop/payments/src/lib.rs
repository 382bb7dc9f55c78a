//! Payments and the gateway; event-sourced.
//!
//! A payment records what is wanted; its relay announces the wish to the context's own consumer,
//! which calls the gateway with a key that never changes and records the answer. Webhooks record
//! the same. Money moves with ledger entries that sum to zero, and a cancellation stays a wish
//! until nothing is reserved or kept.

mod adapters;
mod application;
mod domain;
mod module;

pub use adapters::gateway::InvalidGatewayUrl;
pub use adapters::guard::{POLICIES, guarded_payment, vocabulary};
pub use module::{Dependencies, migrations, module, relay};
