//! `/clients` on the admin port: which programs get tokens.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use stanchion::auth::oauth::OpaqueToken;
use stanchion::eventsourcing::Metadata;

use crate::application::{Failure, Identity, Refusal};
use crate::domain::{ClientId, ClientPlan, Flow, RegisteredClient};

/// What an operator gives to register a client.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanBody {
    name: String,
    /// `confidential` or `public`.
    kind: Kind,
    #[serde(default)]
    redirect_uris: Vec<String>,
    grants: Vec<Flow>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    resource_server: bool,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Confidential,
    Public,
}

/// A client as an operator sees it.
#[derive(Serialize)]
struct ClientView {
    client_id: ClientId,
    name: String,
    kind: Kind,
    redirect_uris: Vec<String>,
    grants: Vec<Flow>,
    scopes: Vec<String>,
    resource_server: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
    disabled_at: Option<Timestamp>,
    /// Shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

/// The operator's routes.
pub(crate) fn router(identity: Arc<Identity>) -> Router {
    Router::new()
        .route("/clients", get(list).post(register))
        .route("/clients/{id}/disable", post(disable))
        .route("/clients/{id}/enable", post(enable))
        .route("/clients/{id}/rotate-secret", post(rotate))
        .with_state(identity)
}

async fn list(State(identity): State<Arc<Identity>>) -> Response {
    match identity.list_clients().await {
        Ok(clients) => {
            let views = clients
                .into_iter()
                .map(|client| ClientView::of(client, None));
            Json(json!({"data": views.collect::<Vec<_>>()})).into_response()
        }
        Err(failure) => failed(&failure),
    }
}

async fn register(
    State(identity): State<Arc<Identity>>,
    body: Result<Json<PlanBody>, JsonRejection>,
) -> Response {
    let plan = match body {
        Ok(Json(body)) => body.plan(),
        Err(rejection) => Err(rejection.body_text()),
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(why) => return refused(StatusCode::UNPROCESSABLE_ENTITY, &why),
    };
    match identity.register_client(plan, &by_operator()).await {
        Ok((client, secret)) => {
            let view = ClientView::of(client, secret);
            (StatusCode::CREATED, Json(view)).into_response()
        }
        Err(failure) => failed(&failure),
    }
}

async fn disable(identity: State<Arc<Identity>>, id: Path<String>) -> Response {
    set_enabled(identity, id, false).await
}

async fn enable(identity: State<Arc<Identity>>, id: Path<String>) -> Response {
    set_enabled(identity, id, true).await
}

async fn set_enabled(
    State(identity): State<Arc<Identity>>,
    Path(id): Path<String>,
    enabled: bool,
) -> Response {
    let Ok(id) = id.parse() else {
        return failed(&Refusal::ClientNotFound.into());
    };
    let operator = by_operator();
    match identity.set_client_enabled(id, enabled, &operator).await {
        Ok(client) => Json(ClientView::of(client, None)).into_response(),
        Err(failure) => failed(&failure),
    }
}

async fn rotate(State(identity): State<Arc<Identity>>, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse() else {
        return failed(&Refusal::ClientNotFound.into());
    };
    match identity.rotate_client_secret(id, &by_operator()).await {
        Ok((client, secret)) => Json(ClientView::of(client, Some(secret))).into_response(),
        Err(failure) => failed(&failure),
    }
}

impl PlanBody {
    fn plan(self) -> Result<ClientPlan, String> {
        let uris = self.redirect_uris.iter();
        let uris = uris.map(|uri| {
            uri.parse()
                .map_err(|error| format!("redirect_uris: {error}"))
        });
        let scopes = self.scopes.join(" ").parse();
        let plan = ClientPlan {
            name: self.name,
            confidential: self.kind == Kind::Confidential,
            redirect_uris: uris.collect::<Result<_, String>>()?,
            flows: self.grants.into_iter().collect(),
            scopes: scopes.map_err(|error| format!("scopes: {error}"))?,
            resource_server: self.resource_server,
        };
        plan.check().map_err(|refused| refused.0.to_owned())?;
        Ok(plan)
    }
}

impl ClientView {
    fn of(client: RegisteredClient, secret: Option<OpaqueToken>) -> Self {
        let plan = client.plan;
        let uris = plan.redirect_uris.iter();
        Self {
            client_id: client.id,
            name: plan.name,
            kind: match plan.confidential {
                true => Kind::Confidential,
                false => Kind::Public,
            },
            redirect_uris: uris.map(ToString::to_string).collect(),
            grants: plan.flows.into_iter().collect(),
            scopes: plan.scopes.iter().map(str::to_owned).collect(),
            resource_server: plan.resource_server,
            created_at: client.created_at,
            updated_at: client.updated_at,
            disabled_at: client.disabled_at,
            client_secret: secret.map(|secret| secret.expose().to_owned()),
        }
    }
}

fn by_operator() -> Metadata {
    Metadata::new(Some("operator".into()))
}

fn failed(failure: &Failure) -> Response {
    let status = match failure {
        Failure::Refused(_) => StatusCode::NOT_FOUND,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    refused(status, &failure.to_string())
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({"error": why}))).into_response()
}
