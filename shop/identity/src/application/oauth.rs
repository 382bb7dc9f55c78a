//! What identity does for OAuth clients, a file a use case.

mod authorize;
mod clients;
mod credentials;
mod exchange;
mod failure;
mod introspect;
mod issue;
mod live;
pub(crate) mod ports;
mod prune;
mod refresh;
mod revoke;
mod revoked;
mod userinfo;

use std::sync::Arc;

use jiff::SignedDuration;
use secrecy::SecretString;
use stanchion::auth::oauth::Scopes;
use stanchion::auth::refresh::RefreshToken;

pub(crate) use authorize::{Asked, Authorization, Consent, Unanswerable};
pub(crate) use credentials::Presented;
pub(crate) use exchange::Exchange;
pub(crate) use failure::OAuthFailure;
pub(crate) use introspect::Introspected;
pub(crate) use userinfo::UserInfo;

use live::LiveClients;
use ports::{ClientRepository, CodeRepository};
use revoked::RevokedTokens;

/// Clients, codes and what they were granted.
pub(crate) struct OAuth {
    clients: Arc<dyn ClientRepository>,
    pub(super) codes: Arc<dyn CodeRepository>,
    live: LiveClients,
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
            live: LiveClients::default(),
            revoked: RevokedTokens::default(),
        }
    }
}
