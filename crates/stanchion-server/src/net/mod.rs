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
mod kernel;
mod limits;
mod named;
mod paced;
mod refusal;
mod taken;
mod tls;
mod together;
mod validity;

pub(crate) use accept::Listener;
pub use agreed::ClientCertificates;
pub(crate) use agreed::peer;
pub(crate) use connection::{App, Serving};
pub(crate) use kernel::{Gone, look_after};
pub(crate) use limits::ConnectionLimits;
pub(crate) use paced::{BodyRate, TooSlow};
pub(crate) use tls::Tls;

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// The moments of a stop that connections take part in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moments {
    /// Clients are told to go: `Connection: close`, GOAWAY.
    pub(crate) telling: Telling,
    /// Nothing is accepted any more.
    pub(crate) closed: CancellationToken,
    /// Idle connections are closed.
    pub(crate) idle: CancellationToken,
    /// Everything is cut.
    pub(crate) cut: CancellationToken,
}

/// When clients are told to go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Telling {
    moment: CancellationToken,
    /// Each request asks whether it has come: a token has a lock, which all connections would share.
    has_come: Arc<OnceLock<()>>,
}

impl Telling {
    /// From now on.
    pub(crate) fn begin(&self) {
        let _first = self.has_come.set(());
        self.moment.cancel();
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.has_come.get().is_some()
    }

    /// For whoever waits for it.
    pub(crate) fn moment(&self) -> &CancellationToken {
        &self.moment
    }
}
