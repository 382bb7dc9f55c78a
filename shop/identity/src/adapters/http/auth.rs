//! `/auth/login`, `/auth/refresh`, `/auth/logout`, `/auth/password`.

use std::sync::Arc;

use axum::extract::State;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use stanchion::eventsourcing::Metadata;
use stanchion::server::{
    Answer, Anyone, Body, Caller, Code, IdempotencyRule, Operation, Problem, RequestContext,
    Routes, ToSchema, Validate, Violations, codes, op,
};

use super::metadata::{caused_by, own_session, session_of, stamped, user_of};
use super::problem::USER_NOT_FOUND;
use super::views::{TokensView, noted};
use crate::application::ports::Which;
use crate::application::{Identity, Login};
use crate::domain::session::DEVICE_CHARACTERS_MAX;
use crate::domain::{Client, password};

/// By which a device shows that it has logged in to the account before; given with a login, sent with the next one.
const DEVICE_TOKEN: HeaderName = HeaderName::from_static("device-token");

/// No password, token or form of ours is longer.
const BODY_BYTES_MAX: usize = 16 * 1024;

pub(super) fn routes() -> Routes<Arc<Identity>> {
    Routes::new()
        .post(
            "/auth/login",
            op("Log in", login)
                .about("The answer to unknown, suspended and deleted users and to wrong passwords is one and the same 401. Who has failed too often gets 429. A login answers with a Device-Token: sent as a header with later logins, it keeps others' failures from shutting this device out.")
                .errors(&[codes::UNAUTHENTICATED, codes::OVERLOADED])
                .settled(),
        )
        .post(
            "/auth/refresh",
            op("Exchange a refresh token", refresh)
                .about("Good for one use. A second use of the same token, even at the same time, ends its session; where an overlap is configured, for so long it is answered with the same refresh token again.")
                .errors(&[codes::UNAUTHENTICATED])
                .settled(),
        )
        .post(
            "/auth/logout",
            op("Log out", logout)
                .about("Ends the session of the access token, or with `all` every session of the user.")
                .errors(&[codes::FORBIDDEN])
                .settled(),
        )
        .post(
            "/auth/password",
            op("Change the password", change_password)
                .about("Every other session of the user ends. Device-Tokens from before are good for nothing any more; the answer has a new one.")
                .errors(&PASSWORD_ERRORS)
                .settled(),
        )
}

const PASSWORD_ERRORS: [Code; 4] = [
    USER_NOT_FOUND,
    codes::FORBIDDEN,
    codes::RATE_LIMITED,
    codes::OVERLOADED,
];

/// What every operation here has in common.
pub(super) trait Settled {
    fn settled(self) -> Self;
}

impl Settled for Operation<Arc<Identity>> {
    fn settled(self) -> Self {
        self.idempotency(IdempotencyRule::Ignored)
            .body_bytes_max(BODY_BYTES_MAX)
    }
}

/// Who wants in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LoginBody {
    /// An e-mail address or a username.
    #[schema(min_length = 1, max_length = 255, example = "ada@example.com")]
    login: String,
    #[schema(value_type = String, format = Password, max_length = 256)]
    password: SecretString,
    /// What the user calls the device, to know its session again; `User-Agent` unless given.
    #[serde(default)]
    #[schema(max_length = 200, example = "Ada's telephone")]
    device: Option<String>,
}

/// A refresh token to be exchanged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RefreshBody {
    #[schema(value_type = String, example = "rt_9Jb1…")]
    refresh_token: SecretString,
}

/// How far to log out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LogoutBody {
    /// Every session of the user instead of this one.
    #[serde(default)]
    all: bool,
}

/// A password in place of another.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    #[schema(value_type = String, format = Password, max_length = 256)]
    current_password: SecretString,
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 256)]
    new_password: SecretString,
}

impl Validate for LoginBody {
    const UNTRIMMED: &'static [&'static str] = &["password"];

    fn validate(&self, violations: &mut Violations) {
        violations.length("login", &self.login, 1, 255);
        let device = self.device.as_deref().unwrap_or_default();
        violations.length("device", device, 0, DEVICE_CHARACTERS_MAX);
    }
}

impl Validate for RefreshBody {
    fn validate(&self, _: &mut Violations) {}
}

impl Validate for LogoutBody {
    fn validate(&self, _: &mut Violations) {}
}

impl Validate for PasswordBody {
    const UNTRIMMED: &'static [&'static str] = &["current_password", "new_password"];

    fn validate(&self, violations: &mut Violations) {
        noted(
            violations,
            "new_password",
            password::check(&self.new_password),
        );
    }
}

async fn login(
    _: Anyone,
    State(identity): State<Arc<Identity>>,
    context: RequestContext,
    headers: HeaderMap,
    Body(body): Body<LoginBody>,
) -> Result<Answer<TokensView>, Problem> {
    let login = Login {
        login: body.login,
        password: body.password,
        client: client(body.device.as_deref(), &headers, &context),
    };
    let written = identity.log_in(login, &Metadata::new(None)).await?;
    let position = written.position;
    let device = written.value.device.clone();
    let answer = Answer::ok(TokensView::from(written.value));
    let answer = known_from_now_on(answer, device.as_deref());
    Ok(match position {
        Some(position) => answer.consistency(identity.log, position),
        None => answer,
    })
}

async fn refresh(
    _: Anyone,
    State(identity): State<Arc<Identity>>,
    context: RequestContext,
    Body(body): Body<RefreshBody>,
) -> Result<Answer<TokensView>, Problem> {
    let token = body.refresh_token.expose_secret();
    let attempt = identity.attempts.token(context.remote()).await?;
    let tokens = identity.refresh_own(token, &Metadata::new(None)).await;
    let tokens = attempt.settled(tokens).await?;
    Ok(Answer::ok(TokensView::from(tokens)))
}

async fn logout(
    caller: Caller,
    State(identity): State<Arc<Identity>>,
    body: Option<Body<LogoutBody>>,
) -> Result<Answer, Problem> {
    let Body(body) = body.unwrap_or(Body(LogoutBody::default()));
    let user = user_of(&caller)?;
    let which = if body.all {
        own_session(&identity, &caller).await?;
        Which::All
    } else {
        Which::One(session_of(&caller)?)
    };
    identity.log_out(user, which, &caused_by(&caller)).await?;
    Ok(Answer::no_content())
}

async fn change_password(
    caller: Caller,
    State(identity): State<Arc<Identity>>,
    context: RequestContext,
    headers: HeaderMap,
    Body(body): Body<PasswordBody>,
) -> Result<Answer, Problem> {
    let (user, session) = (user_of(&caller)?, own_session(&identity, &caller).await?);
    let metadata = caused_by(&caller);
    let (current, new) = (&body.current_password, &body.new_password);
    let client = client(None, &headers, &context);
    let written = identity
        .change_password(user, session, current, new, &client, &metadata)
        .await?;
    let answer = known_from_now_on(Answer::no_content(), written.value.as_deref());
    Ok(stamped(answer, &identity, &written))
}

pub(super) fn client(named: Option<&str>, headers: &HeaderMap, context: &RequestContext) -> Client {
    let agent = || headers.get(USER_AGENT)?.to_str().ok();
    let device = named.filter(|name| !name.trim().is_empty()).or_else(agent);
    let address = context.remote().map(|address| address.to_string());
    let proof = headers.get(DEVICE_TOKEN);
    let proof = proof.and_then(|value| value.to_str().ok());
    Client::new(device, address.as_deref()).proven_by(proof)
}

/// With what the device is known by from now on, if that is new.
pub(super) fn known_from_now_on<T>(answer: Answer<T>, device: Option<&str>) -> Answer<T> {
    let Some(Ok(mut proof)) = device.map(HeaderValue::from_str) else {
        return answer;
    };
    proof.set_sensitive(true);
    answer.header(DEVICE_TOKEN, proof)
}
