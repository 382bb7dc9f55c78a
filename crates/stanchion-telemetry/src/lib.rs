//! Logs, metrics and traces: one init, one flush.
//!
//! [`init`] starts all three for the process: every `tracing` event becomes one line (pretty on a
//! terminal, JSON elsewhere) that carries the request's and the trace's id, spans are exported by
//! OTLP when an endpoint is set, and [`Metrics`] is a registry of its own, not a global.
//! Libraries log through plain `tracing` and count through a [`Metrics`] they are given.
//!
//! Labels whose values come from outside go through a [`Bounded`] first; [`testing::capture`] shows a test what
//! was logged. [`trace`] takes the W3C trace context over and passes it on, also as text beside an event.

mod bounded;
mod export;
mod init;
mod late;
mod lines;
mod metrics;
mod panic;
mod settings;
pub mod testing;
pub mod trace;
mod unrecorded;

pub use bounded::Bounded;
pub use export::ExportError;
pub use init::{Telemetry, TelemetryError, init, install_crypto};
pub use lines::{Direct, Label, MAY_WAIT, write_directly};
pub use metrics::{Buckets, Labels, Metrics};
pub use prometheus_client;
pub use settings::{LogFormat, TelemetrySettings};
