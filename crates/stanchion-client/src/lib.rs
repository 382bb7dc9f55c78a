//! Outgoing HTTP and gRPC: one policy a dependency, deadline and trace passed on, discovery and balancing.
//!
//! A client is one **dependency**: a name, a URL, and [`ClientSettings`]. Behind the URL may stand several hosts.
//!
//! | a call goes through | which does |
//! |---|---|
//! | the [policy](stanchion_resilience::policy) | deadline, retries within a budget, hedges of reads, breaker, bulkhead, timeout of an attempt |
//! | discovery | addresses from DNS, asked again and again, or a fixed list |
//! | balancing | of two hosts taken by chance the one that is faster and less busy (P2C, peak EWMA); those that fail in a row are left out |
//! | the pool | bounded connections with an idle time and a life; HTTP/2 where the other side speaks it |
//! | the wire | what is left of the deadline, `traceparent`, `X-Request-Id` and the number of the attempt in headers |
//!
//! [`HttpClient`] is for REST and the like; [`GrpcChannel`] is what a client that tonic generated takes, over the network
//! or straight into a service of the same process. What went wrong is a [`ClientError`], which says who refused what,
//! and whether the call can have had an effect.
//!
//! **The deadline** of a call is the nearest of three: the policy's own, the one given with the call, and that of the
//! request being served, which [`origin`](stanchion_resilience::origin) knows without being handed through.
//!
//! **Nothing survives a restart**, and nothing is sent twice unless the call may be: reads, calls with an idempotency
//! key, and those that surely had no effect. Dropping a call's future cancels it: an HTTP/1.1 connection is closed, an
//! HTTP/2 stream is reset, and its permits are free.

mod discovery;
mod error;
mod grpc;
mod http;
mod line;
mod metrics;
mod outside;
mod settings;
mod target;
mod tls;

pub use discovery::Discovery;
pub use error::{ClientError, Reason, SetupError};
pub use grpc::GrpcChannel;
pub use http::{Call, HttpClient, Response, Streamed};
pub use outside::{Document, Outside, OutsideError, OutsideSettings, is_public};
pub use settings::{ClientSettings, ClientTlsSettings};
pub use stanchion_config::{ExposeSecret, SecretString};
pub use stanchion_resilience::retry::Effect;
pub use stanchion_telemetry::Metrics;
pub use target::is_private;
