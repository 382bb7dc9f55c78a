//! OAuth 2.1 and OpenID Connect, outside the base path and in their own forms.

mod answer;
mod authorize;
pub(crate) mod clients;
mod csrf;
mod discovery;
mod form;
mod page;
mod presented;
mod token;
mod token_fields;
mod userinfo;

use std::sync::Arc;

use stanchion::server::Routes;

use crate::application::Identity;

/// Where everything is, below the issuer's URL.
pub(super) mod paths {
    pub(crate) const DISCOVERY: &str = "/.well-known/openid-configuration";
    pub(crate) const AUTHORIZE: &str = "/oauth2/authorize";
    pub(crate) const TOKEN: &str = "/oauth2/token";
    pub(crate) const INTROSPECT: &str = "/oauth2/introspect";
    pub(crate) const REVOKE: &str = "/oauth2/revoke";
    pub(crate) const USERINFO: &str = "/oauth2/userinfo";
}

pub(crate) fn routes(identity: Arc<Identity>) -> Routes {
    discovery::routes()
        .and(token::routes())
        .and(userinfo::routes())
        .and(authorize::routes())
        .with_state(identity)
}
