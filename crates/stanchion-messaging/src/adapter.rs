//! What the adapters of brokers have in common; nothing here knows a broker.

mod backoff;
mod json;
mod meter;
mod wire;

pub use backoff::Backoff;
pub use json::json;
pub use meter::{BrokerMeter, GroupGauge};
pub use wire::{CONTRACT, KEY, MESSAGE_ID, TRACE, body, envelope, headers, link};
