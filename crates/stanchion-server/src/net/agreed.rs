//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use http::Extensions;
use rustls::pki_types::{CertificateDer, ServerName};

use super::activity::Protocol;
use super::named;

/// Who is at the other end, of a request that came over a socket: where somebody's own router looks for it too.
pub(crate) fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|ConnectInfo(peer)| *peer)
}

/// The certificates by which a client proved itself over mutual TLS; a request extension.
#[derive(Clone, Debug)]
pub struct ClientCertificates(Arc<[CertificateDer<'static>]>);

impl ClientCertificates {
    pub(super) fn of(chain: &[CertificateDer<'static>]) -> Self {
        Self(chain.to_vec().into())
    }

    /// Each in DER form, the client's own first; its chain was verified.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Whether the client's own certificate bears this name, one of DNS or an address, among its alternative names: who
    /// may do what can hang on it. Whom the port lets in at all is `tls.client_names`.
    #[must_use]
    pub fn bears(&self, name: &str) -> bool {
        let name = ServerName::try_from(name).ok();
        let own = self.0.first();
        own.zip(name)
            .is_some_and(|(own, name)| named::bears(own, &name))
    }
}

/// Who is at the other end of a connection, and what was agreed on with them.
#[derive(Clone)]
pub(super) struct Agreed {
    pub(super) peer: SocketAddr,
    pub(super) protocol: Protocol,
    pub(super) certificates: Option<ClientCertificates>,
}

/// Room in a request's extensions.
#[derive(Clone)]
struct Room<const N: u8>;

impl Agreed {
    /// What each request has: where somebody's own router looks for it too.
    ///
    /// A copy has the room that the original once needed: ours and axum's are more than would fit at first, and to make
    /// room for them anew in each request costs more than the copy.
    pub(super) fn extensions(&self) -> Extensions {
        let mut extensions = Extensions::new();
        extensions.insert(Room::<0>);
        extensions.insert(Room::<1>);
        extensions.insert(Room::<2>);
        extensions.insert(Room::<3>);
        extensions.clear();
        extensions.insert(ConnectInfo(self.peer));
        if let Some(certificates) = &self.certificates {
            extensions.insert(certificates.clone());
        }
        extensions
    }
}
