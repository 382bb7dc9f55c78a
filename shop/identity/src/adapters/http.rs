//! REST, a file a resource.

mod api_keys;
mod auth;
mod jwks;
mod metadata;
pub(crate) mod oauth;
mod problem;
mod recovery;
mod sessions;
mod standing;
mod tokens;
pub(crate) mod users;
mod verification;
pub(crate) mod views;

use std::sync::Arc;

use stanchion::server::Routes;

pub(crate) use jwks::routes as well_known;
pub(crate) use tokens::SessionTokens;

use crate::application::Identity;

/// All operations below the base path.
pub(crate) fn routes(identity: Arc<Identity>) -> Routes {
    users::routes()
        .and(standing::routes())
        .and(auth::routes())
        .and(sessions::routes())
        .and(verification::routes())
        .and(recovery::routes())
        .and(api_keys::routes())
        .with_state(identity)
}
