//! What identity does for OAuth clients, a file a use case.

mod authorize;
mod clients;
mod credentials;
mod exchange;
mod failure;
mod introspect;
mod issue;
mod limits;
pub(crate) mod ports;
mod prune;
mod refresh;
mod revoke;
mod revoked;
#[cfg(test)]
mod tests;
mod userinfo;

use std::sync::Arc;

use jiff::SignedDuration;
use secrecy::SecretString;
use stanchion::auth::oauth::Scopes;
use stanchion::auth::refresh::RefreshToken;
use uuid::Uuid;

use super::answers::Answers;
use crate::domain::{ClientId, RegisteredClient};

pub(crate) use authorize::{Asked, Authorization, Consent, Unanswerable};
pub(crate) use credentials::Presented;
pub(crate) use exchange::Exchange;
pub(crate) use failure::OAuthFailure;
pub(crate) use introspect::Introspected;
pub(crate) use userinfo::UserInfo;

use ports::{ClientRepository, CodeRepository};
use revoked::RevokedTokens;

/// The most clients that are remembered, those that there are not included.
const CLIENTS_MAX: usize = 10_000;

/// Clients, codes and what they were granted.
pub(crate) struct OAuth {
    clients: Arc<dyn ClientRepository>,
    pub(super) codes: Arc<dyn CodeRepository>,
    /// `None`: there is no such client.
    live: Answers<ClientId, Option<Arc<RegisteredClient>>>,
    revoked: RevokedTokens,
}

/// What the token endpoint hands out.
pub(crate) struct Issued {
    pub(crate) access: SecretString,
    pub(crate) expires_in: SignedDuration,
    pub(crate) scopes: Scopes,
    pub(crate) refresh: Option<RefreshToken>,
    pub(crate) id_token: Option<SecretString>,
}

impl OAuth {
    pub(crate) fn new(clients: Arc<dyn ClientRepository>, codes: Arc<dyn CodeRepository>) -> Self {
        Self {
            clients,
            codes,
            live: Answers::at_most(CLIENTS_MAX),
            revoked: RevokedTokens::default(),
        }
    }

    /// A client has changed somewhere.
    pub(super) fn forget_client(&self, client: ClientId) {
        self.live.forget(&[client]);
    }

    /// For when it is not known what has changed.
    pub(super) fn forget_all(&self) {
        self.live.forget_all();
        self.revoked.forget_all();
    }

    /// A client gave that token back somewhere.
    pub(super) fn note_void(&self, token: Uuid) {
        self.revoked.note(token);
    }

    /// What is remembered: what, how many, and at most.
    pub(super) fn remembered(&self) -> [(&'static str, usize, usize); 2] {
        [
            ("clients", self.live.len(), self.live.entries_max()),
            ("void_tokens", self.revoked.len(), revoked::ENTRIES_MAX),
        ]
    }
}
