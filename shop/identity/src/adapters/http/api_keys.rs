//! `/auth/api-keys` of the caller, `/auth/services/{service}/api-keys` of services.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stanchion::auth::api_key::ApiKey;
use stanchion::auth::{Permissions, Subject};
use stanchion::runtime::clock;
use stanchion::server::{
    Answer, Authorized, Body, Caller, Code, Listed, Path, PathId, Problem, Routes, ToSchema,
    Validate, Violations, codes, op,
};
use uuid::Uuid;

use super::auth::Settled;
use super::metadata::{caused_by, own_session, stamped, user_of};
use super::problem::{API_KEY_NOT_FOUND, TOO_MANY_API_KEYS, USER_NOT_FOUND};
use super::standing::Administer;
use crate::application::api_keys::{KeptApiKey, NewApiKey, SERVICE_SCOPES};
use crate::application::{Failure, Identity, Refusal};

/// The longest name of a key, in characters.
const NAME_CHARACTERS_MAX: usize = 100;

/// The most scopes of a key.
const SCOPES_MAX: usize = 32;

const ERRORS: [Code; 2] = [TOO_MANY_API_KEYS, codes::FORBIDDEN];

pub(super) fn routes() -> Routes<Arc<Identity>> {
    Routes::new()
        .post(
            "/auth/api-keys",
            op("Make an API key", create)
                .about("It acts as the caller, with the scopes given and no others, and is shown in this answer alone. Sent as `Authorization: Bearer sk_…`. Neither an API key nor an OAuth client can make one.")
                .status(201)
                .errors(&[USER_NOT_FOUND, TOO_MANY_API_KEYS, codes::FORBIDDEN])
                .settled(),
        )
        .get(
            "/auth/api-keys",
            op("List the caller's API keys", list).errors(&[codes::FORBIDDEN]),
        )
        .delete(
            "/auth/api-keys/{id}",
            op("Revoke an API key of the caller", revoke_key)
                .about("It is refused everywhere within a second.")
                .errors(&[API_KEY_NOT_FOUND, codes::FORBIDDEN]),
        )
        .post(
            "/auth/services/{service}/api-keys",
            op("Make an API key of a service", create_for_service)
                .about("It acts as the service of that name, 1 to 64 of `[a-z0-9-]`, with the scopes given, each named.")
                .status(201)
                .errors(&ERRORS)
                .settled(),
        )
        .get(
            "/auth/services/{service}/api-keys",
            op("List a service's API keys", list_of_service),
        )
        .delete(
            "/auth/services/{service}/api-keys/{id}",
            op("Revoke an API key of a service", revoke_of_service).errors(&[API_KEY_NOT_FOUND]),
        )
}

/// Which API key.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
struct ApiKeyId(Uuid);

/// Which service.
#[derive(Debug, Deserialize, ToSchema)]
struct OfService {
    /// Its name.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[a-z0-9-]*$",
        example = "warehouse"
    )]
    service: String,
}

/// Which API key of which service.
#[derive(Debug, Deserialize, ToSchema)]
struct KeyOfService {
    /// The service's name.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[a-z0-9-]*$",
        example = "warehouse"
    )]
    service: String,
    id: ApiKeyId,
}

/// An API key to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewApiKeyBody {
    /// What it is for, in its owner's words.
    #[schema(min_length = 1, max_length = 100, example = "nightly export")]
    name: String,
    /// What its bearer may, at most: permissions that its owner holds. Without any it reaches its owner's own objects.
    #[serde(default)]
    #[schema(max_items = 32, example = json!(["order:read"]))]
    scopes: Vec<String>,
    /// When it ends by itself; never, unless given.
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

/// An API key, without its secret.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
struct ApiKeyView {
    id: ApiKeyId,
    /// As whom its bearer acts: a user's id, or `svc:NAME`.
    owner: String,
    name: String,
    /// How the key begins.
    #[schema(example = "sk_9Jb1…")]
    hint: String,
    scopes: Vec<String>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<Timestamp>,
    /// Right to a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_used_at: Option<Timestamp>,
}

/// An API key with its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = NewApiKey)]
struct NewApiKeyView {
    /// Shown now and never again.
    #[schema(example = "sk_9Jb1…")]
    key: String,
    #[serde(flatten)]
    about: ApiKeyView,
}

impl NewApiKeyBody {
    /// The scopes, if each is a permission that `allowed` says yes to.
    fn scopes(&self, allowed: impl Fn(&str) -> bool) -> Result<Permissions, Problem> {
        let scopes = Permissions::new(&self.scopes)
            .map_err(|error| Problem::invalid_field("scopes", &error.to_string()))?;
        if let Some(name) = scopes.iter().find(|name| !allowed(name)) {
            let why = format!("the owner does not hold {name}");
            return Err(Problem::invalid_field("scopes", &why));
        }
        Ok(scopes)
    }
}

impl Validate for NewApiKeyBody {
    fn validate(&self, violations: &mut Violations) {
        violations.length("name", &self.name, 1, NAME_CHARACTERS_MAX);
        let plain = !self.name.chars().any(char::is_control);
        violations.require(plain, "name", "must have no control characters".to_owned());
        let few = self.scopes.len() <= SCOPES_MAX;
        let why = format!("must have at most {SCOPES_MAX} scopes");
        violations.require(few, "scopes", why);
        let ahead = self.expires_at.is_none_or(|at| at > clock::now());
        violations.require(ahead, "expires_at", "must be in the future".to_owned());
    }
}

impl From<&KeptApiKey> for ApiKeyView {
    fn from(key: &KeptApiKey) -> Self {
        Self {
            id: ApiKeyId(key.row.id),
            owner: key.row.owner.to_string(),
            name: key.name.clone(),
            hint: key.hint.clone(),
            scopes: key.row.scopes.iter().map(str::to_owned).collect(),
            created_at: key.created_at,
            expires_at: key.row.expires_at,
            last_used_at: key.last_used_at,
        }
    }
}

impl NewApiKeyView {
    fn of((key, kept): &(ApiKey, KeptApiKey)) -> Self {
        Self {
            key: key.expose().to_owned(),
            about: ApiKeyView::from(kept),
        }
    }
}

async fn create(
    caller: Caller,
    State(identity): State<Arc<Identity>>,
    Body(body): Body<NewApiKeyBody>,
) -> Result<Answer<NewApiKeyView>, Problem> {
    let owner = logged_in(&identity, &caller).await?;
    // What its user holds now, and not what an older token says.
    let user = identity.user(user_of(&caller)?).await?;
    let held = user.roles.permissions();
    let scopes = body.scopes(|name| held.allows(name) && caller.allows(name))?;
    let new = NewApiKey {
        owner,
        name: body.name,
        scopes,
        expires_at: body.expires_at,
    };
    let written = identity.create_api_key(new, &caused_by(&caller)).await?;
    let location = format!("/auth/api-keys/{}", written.value.1.row.id);
    let answer = Answer::created(location, NewApiKeyView::of(&written.value));
    Ok(stamped(answer, &identity, &written))
}

async fn list(
    caller: Caller,
    State(identity): State<Arc<Identity>>,
) -> Result<Listed<ApiKeyView>, Problem> {
    let owner = logged_in(&identity, &caller).await?;
    listed(&identity, &owner).await
}

async fn revoke_key(
    caller: Caller,
    State(identity): State<Arc<Identity>>,
    PathId(ApiKeyId(id)): PathId<ApiKeyId>,
) -> Result<Answer, Problem> {
    let owner = logged_in(&identity, &caller).await?;
    let metadata = caused_by(&caller);
    let revoked = identity.revoke_api_key(&owner, id, &metadata).await;
    found(revoked.map(drop), id)
}

async fn create_for_service(
    caller: Authorized<Administer>,
    State(identity): State<Arc<Identity>>,
    Path(OfService { service }): Path<OfService>,
    Body(body): Body<NewApiKeyBody>,
) -> Result<Answer<NewApiKeyView>, Problem> {
    own_session(&identity, &caller).await?;
    let scopes = body.scopes(|name| SERVICE_SCOPES.contains(&name))?;
    let new = NewApiKey {
        owner: named(&service)?,
        name: body.name,
        scopes,
        expires_at: body.expires_at,
    };
    let written = identity.create_api_key(new, &caused_by(&caller)).await?;
    let id = written.value.1.row.id;
    let location = format!("/auth/services/{service}/api-keys/{id}");
    let answer = Answer::created(location, NewApiKeyView::of(&written.value));
    Ok(stamped(answer, &identity, &written))
}

async fn list_of_service(
    _: Authorized<Administer>,
    State(identity): State<Arc<Identity>>,
    Path(OfService { service }): Path<OfService>,
) -> Result<Listed<ApiKeyView>, Problem> {
    listed(&identity, &named(&service)?).await
}

async fn revoke_of_service(
    caller: Authorized<Administer>,
    State(identity): State<Arc<Identity>>,
    Path(KeyOfService { service, id }): Path<KeyOfService>,
) -> Result<Answer, Problem> {
    let owner = named(&service)?;
    let metadata = caused_by(&caller);
    let revoked = identity.revoke_api_key(&owner, id.0, &metadata).await;
    found(revoked.map(drop), id.0)
}

/// All of them: there are at most 50 that live.
async fn listed(identity: &Identity, owner: &Subject) -> Result<Listed<ApiKeyView>, Problem> {
    let keys = identity.api_keys_of(owner).await?;
    Ok(Listed::whole(keys.iter().map(ApiKeyView::from).collect()))
}

fn found(revoked: Result<(), Failure>, id: Uuid) -> Result<Answer, Problem> {
    match revoked {
        Err(Failure::Refused(Refusal::ApiKeyNotFound)) => {
            Err(API_KEY_NOT_FOUND.with("api_key_id", id))
        }
        outcome => Ok(outcome.map(|()| Answer::no_content())?),
    }
}

/// The caller as the owner of keys, in a login session of its own: a key that was stolen makes no other one, and revokes none;
/// and a client makes none, which would outlive what it was granted.
async fn logged_in(identity: &Identity, caller: &Caller) -> Result<Subject, Problem> {
    own_session(identity, caller).await?;
    Ok(Subject::User(user_of(caller)?.0))
}

fn named(service: &str) -> Result<Subject, Problem> {
    Subject::service(service).map_err(|error| Problem::invalid_parameter("service", error))
}
