//! `/oauth2/token`, `/oauth2/introspect`, `/oauth2/revoke`.

use std::sync::Arc;

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use secrecy::ExposeSecret;
use serde::Serialize;
use stanchion::auth::oauth::{OAuthError, Parameters, Refused};
use stanchion::eventsourcing::Metadata;
use stanchion::server::{Anyone, RequestContext, Routes, ToSchema, Verbatim, op};
use uuid::Uuid;

use super::answer::{ErrorView, Refusal};
use super::form::Form;
use super::paths;
use super::presented::presented;
use super::token_fields::{IntrospectFields, RevokeFields, TokenFields};
use crate::application::Identity;
use crate::application::oauth::{Exchange, Introspected, Issued, OAuthFailure, Presented};
use crate::domain::{Client, RegisteredClient};

/// Tokens (RFC 6749, 5.1).
#[derive(Serialize, ToSchema)]
#[schema(as = OAuthTokens)]
pub(super) struct TokenView {
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds until the access token ends.
    #[schema(example = 900)]
    expires_in: i64,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

/// What a token is worth now (RFC 7662, 2.2); nothing but `active` if that is false.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = OAuthIntrospection)]
pub(super) struct IntrospectionView {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<Uuid>,
}

pub(super) fn routes() -> Routes<Arc<Identity>> {
    Routes::new()
        .post(
            paths::TOKEN,
            op("Get tokens as a client", token)
                .about("`authorization_code` with PKCE, `refresh_token`, `client_credentials`.")
                .status(200)
                .status(400)
                .status(401)
                .status(413)
                .status(429)
                .status(503),
        )
        .post(
            paths::INTROSPECT,
            op("Ask what a token is worth", introspect)
                .about("For clients with a secret, about their own tokens; resource servers ask about all.")
                .status(200)
                .status(400)
                .status(401)
                .status(413)
                .status(429)
                .status(503),
        )
        .post(
            paths::REVOKE,
            op("Give a token back", revoke)
                .about("Of a user's tokens the whole session ends. What is no token is as good as revoked.")
                .status(200)
                .status(400)
                .status(401)
                .status(413)
                .status(429)
                .status(503),
        )
}

async fn token(
    _: Anyone,
    State(identity): State<Arc<Identity>>,
    context: RequestContext,
    headers: HeaderMap,
    form: Form<TokenFields>,
) -> Verbatim<TokenView, ErrorView> {
    match issued(&identity, &context, &headers, form.0).await {
        Ok(issued) => Verbatim::json(StatusCode::OK, &TokenView::from(issued)),
        Err(refusal) => refusal.answer(),
    }
}

async fn introspect(
    _: Anyone,
    State(identity): State<Arc<Identity>>,
    context: RequestContext,
    headers: HeaderMap,
    form: Form<IntrospectFields>,
) -> Verbatim<IntrospectionView, ErrorView> {
    let introspected = async {
        let form = form.0?;
        let presented = presented(&headers, &form)?;
        let asker = identity.confidential_client(&presented);
        let from = context.remote();
        let asker = identity.counted(from, &presented.id, asker).await?;
        let token = wanted(&form, "token", "token is missing")?;
        Ok::<_, Refusal>(identity.introspect(&asker, token).await?)
    };
    match introspected.await {
        Ok(told) => {
            let view = told.map(|told| IntrospectionView::of(told, identity.tokens.issuer()));
            Verbatim::json(StatusCode::OK, &view.unwrap_or_default())
        }
        Err(refusal) => refusal.answer(),
    }
}

async fn revoke(
    _: Anyone,
    State(identity): State<Arc<Identity>>,
    context: RequestContext,
    headers: HeaderMap,
    form: Form<RevokeFields>,
) -> Verbatim<(), ErrorView> {
    let revoked = async {
        let form = form.0?;
        let presented = presented(&headers, &form)?;
        let from = context.remote();
        let revoked = async {
            let client = identity.client(&presented).await?;
            let token = wanted(&form, "token", "token is missing")?;
            let metadata = caused_by(&client);
            let revoked = identity.revoke_token(&client, token, from, &metadata);
            revoked.await
        };
        Ok::<_, Refusal>(identity.counted(from, &presented.id, revoked).await?)
    };
    match revoked.await {
        Ok(()) => Verbatim::empty(StatusCode::OK),
        Err(refusal) => refusal.answer(),
    }
}

async fn issued(
    identity: &Identity,
    context: &RequestContext,
    headers: &HeaderMap,
    form: Result<Parameters, Refusal>,
) -> Result<Issued, Refusal> {
    let form = form?;
    let presented = presented(headers, &form)?;
    let granted = granted(identity, context, &presented, &form);
    let from = context.remote();
    Ok(identity.limited(from, &presented.id, granted).await?)
}

async fn granted(
    identity: &Identity,
    context: &RequestContext,
    presented: &Presented,
    form: &Parameters,
) -> Result<Issued, OAuthFailure> {
    let client = identity.client(presented).await?;
    let grant = wanted(form, "grant_type", "grant_type is missing")?;
    let scope = form.get("scope");
    match grant {
        "client_credentials" => identity.issue_to_client(&client, scope),
        "refresh_token" => {
            let token = wanted(form, "refresh_token", "refresh_token is missing")?;
            let metadata = caused_by(&client);
            let refreshed = identity.refresh_for_client(&client, token, scope, &metadata);
            refreshed.await
        }
        "authorization_code" => {
            let address = context.remote().map(|address| address.to_string());
            let exchange = Exchange {
                code: wanted(form, "code", "code is missing")?,
                redirect_uri: wanted(form, "redirect_uri", "redirect_uri is missing")?,
                verifier: wanted(form, "code_verifier", "code_verifier is missing")?,
                from: Client::new(Some(&client.plan.name), address.as_deref()),
            };
            let metadata = caused_by(&client);
            identity.exchange(&client, exchange, &metadata).await
        }
        _ => {
            let why = "grant_type is authorization_code, refresh_token or client_credentials";
            Err(OAuthError::UnsupportedGrantType.because(why).into())
        }
    }
}

fn wanted<'a>(form: &'a Parameters, name: &str, why: &'static str) -> Result<&'a str, Refused> {
    form.get(name)
        .ok_or(OAuthError::InvalidRequest.because(why))
}

fn caused_by(client: &RegisteredClient) -> Metadata {
    Metadata::new(Some(format!("client:{}", client.id)))
}

impl From<Issued> for TokenView {
    fn from(issued: Issued) -> Self {
        Self {
            access_token: issued.access.expose_secret().to_owned(),
            token_type: "Bearer",
            expires_in: issued.expires_in.as_secs(),
            scope: issued.scopes.to_string(),
            refresh_token: issued.refresh.map(|token| token.expose().to_owned()),
            id_token: issued
                .id_token
                .map(|token| token.expose_secret().to_owned()),
        }
    }
}

impl IntrospectionView {
    fn of(told: Introspected, issuer: &str) -> Self {
        let (issued_at, id) = told.access.unzip();
        Self {
            active: true,
            scope: Some(told.scope),
            client_id: told.client,
            token_type: id.map(|_| "Bearer"),
            exp: Some(told.expires_at.as_second()),
            iat: issued_at.map(|issued_at| issued_at.as_second()),
            sub: Some(told.subject),
            iss: Some(issuer.to_owned()),
            jti: id,
        }
    }
}
