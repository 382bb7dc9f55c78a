//! Connections: accepted, bounded, watched, told to go.

mod accept;
mod activity;
mod addresses;
mod agreed;
mod builder;
mod connection;
mod cut;
mod doubts;
mod frames;
mod held;
mod io;
mod limits;
mod named;
mod paced;
mod refusal;
mod taken;
mod tls;
mod validity;

pub(crate) use accept::{Listener, keep_little_unsent};
pub use agreed::ClientCertificates;
pub(crate) use agreed::peer;
pub(crate) use connection::{App, Serving};
pub(crate) use limits::ConnectionLimits;
pub(crate) use paced::{BodyRate, TooSlow};
pub(crate) use tls::Tls;

use tokio_util::sync::CancellationToken;

/// The moments of a stop that connections take part in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moments {
    /// Clients are told to go: `Connection: close`, GOAWAY.
    pub(crate) telling: CancellationToken,
    /// Nothing is accepted any more.
    pub(crate) closed: CancellationToken,
    /// Idle connections are closed.
    pub(crate) idle: CancellationToken,
    /// Everything is cut.
    pub(crate) cut: CancellationToken,
}
