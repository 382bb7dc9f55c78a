//! `/.well-known/openid-configuration`.

use std::sync::Arc;

use axum::extract::State;
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use stanchion::server::{Anyone, Plain, Routes, ToSchema, op};

use super::paths;
use crate::application::Identity;
use crate::domain::{Flow, scope};

/// What there is and where (OpenID Connect Discovery 1.0, RFC 8414).
#[derive(Serialize, ToSchema)]
#[schema(as = OpenIdConfiguration)]
pub(super) struct Configuration {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    introspection_endpoint: String,
    revocation_endpoint: String,
    userinfo_endpoint: String,
    jwks_uri: String,
    scopes_supported: Vec<&'static str>,
    claims_supported: Vec<&'static str>,
    response_types_supported: Vec<&'static str>,
    response_modes_supported: Vec<&'static str>,
    grant_types_supported: Vec<&'static str>,
    subject_types_supported: Vec<&'static str>,
    id_token_signing_alg_values_supported: Vec<&'static str>,
    code_challenge_methods_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    authorization_response_iss_parameter_supported: bool,
    claims_parameter_supported: bool,
    request_parameter_supported: bool,
    request_uri_parameter_supported: bool,
}

pub(super) fn routes() -> Routes<Arc<Identity>> {
    let about = "What a client library reads first.";
    Routes::new().get(
        paths::DISCOVERY,
        op("Discover the OpenID provider", discover).about(about),
    )
}

async fn discover(_: Anyone, State(identity): State<Arc<Identity>>) -> Plain<Configuration> {
    let kept = HeaderValue::from_static("public, max-age=600");
    Plain::ok(configuration(&identity)).header(CACHE_CONTROL, kept)
}

fn configuration(identity: &Identity) -> Configuration {
    let issuer = identity.tokens.issuer();
    let at = |path: &str| format!("{}{path}", issuer.trim_end_matches('/'));
    let with_secret = vec!["client_secret_basic", "client_secret_post"];
    let or_without = vec!["client_secret_basic", "client_secret_post", "none"];
    let ring = identity.tokens.ring();
    let signing = ring
        .signing()
        .map(|key| key.verifying_key().algorithm().name());
    Configuration {
        issuer: issuer.to_owned(),
        authorization_endpoint: at(paths::AUTHORIZE),
        token_endpoint: at(paths::TOKEN),
        introspection_endpoint: at(paths::INTROSPECT),
        revocation_endpoint: at(paths::REVOKE),
        userinfo_endpoint: at(paths::USERINFO),
        jwks_uri: at("/.well-known/jwks.json"),
        scopes_supported: scope::WORDS.to_vec(),
        claims_supported: vec![
            "sub",
            "iss",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "nonce",
            "sid",
            "name",
            "given_name",
            "family_name",
            "preferred_username",
            "email",
        ],
        response_types_supported: vec!["code"],
        response_modes_supported: vec!["query"],
        grant_types_supported: Flow::ALL.map(Flow::name).to_vec(),
        subject_types_supported: vec!["public"],
        id_token_signing_alg_values_supported: signing.into_iter().collect(),
        code_challenge_methods_supported: vec!["S256"],
        token_endpoint_auth_methods_supported: or_without.clone(),
        introspection_endpoint_auth_methods_supported: with_secret,
        revocation_endpoint_auth_methods_supported: or_without,
        authorization_response_iss_parameter_supported: true,
        claims_parameter_supported: false,
        request_parameter_supported: false,
        request_uri_parameter_supported: false,
    }
}
