use std::net::IpAddr;
use std::sync::Arc;

use stanchion::auth::oauth::{
    Challenge, OAuthError, OpaqueToken, Parameters, PkceError, Prefix, RedirectUri, Refused, Scopes,
};
use stanchion::auth::secret::hmac_sha256;
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;

use crate::application::ports::Credentials;
use crate::application::work::{Work, retried};
use crate::application::{Failure, Identity, Login, Refusal};
use crate::domain::code::CODE_TTL;
use crate::domain::{Code, Event, Flow, PasswordHash, RegisteredClient, scope};

/// The longest `state` and `nonce` that are given back, in bytes.
const ECHO_BYTES_MAX: usize = 512;

/// Separates this use of the hash from every other.
const FINGERPRINT: &[u8] = b"shop.identity.code-credentials.v1";

/// A client's request that can be answered: at this place, with this.
pub(crate) struct Asked {
    pub(crate) client: Arc<RegisteredClient>,
    pub(crate) redirect_uri: RedirectUri,
    pub(crate) state: Option<String>,
    /// What the user is to be asked for, or why not.
    pub(crate) authorization: Result<Authorization, Refused>,
}

/// What a user is asked for.
pub(crate) struct Authorization {
    pub(crate) scopes: Scopes,
    nonce: Option<String>,
    challenge: Challenge,
}

/// Why a request is answered to nobody but the person in front of the browser: a redirect could serve a thief.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswerable {
    #[error("{0}")]
    Refused(&'static str),
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// What a user's yes gives: the code for the client, and what the browser is known by from now on.
pub(crate) struct Allowed {
    pub(crate) code: OpaqueToken,
    pub(crate) device: Option<String>,
}

/// A user's yes, with what proves who it is.
pub(crate) struct Consent {
    pub(crate) asked: Asked,
    pub(crate) authorization: Authorization,
    pub(crate) login: Login,
}

impl Identity {
    /// What a client asks for, checked; first of all where the answer would go.
    pub(crate) async fn asked(
        &self,
        parameters: &Parameters,
        from: Option<IpAddr>,
    ) -> Result<Asked, Unanswerable> {
        let unknown = Unanswerable::Refused("It says it is an application that is not known here.");
        let name = parameters.get("client_id").unwrap_or_default();
        let client = self.client_named(name, from).await?.ok_or(unknown)?;
        let given = parameters.get("redirect_uri").unwrap_or_default();
        let redirect_uri = client.redirect_uri(given).cloned();
        let redirect_uri = redirect_uri.filter(|_| client.may(Flow::AuthorizationCode));
        let redirect_uri = redirect_uri.ok_or(Unanswerable::Refused(
            "It wants the answer to be sent to an address that was never registered for it.",
        ))?;
        let state = parameters.get("state").map(str::to_owned);
        let fits = state
            .as_ref()
            .is_none_or(|state| state.len() <= ECHO_BYTES_MAX);
        Ok(Asked {
            authorization: authorization(&client, parameters),
            state: state.filter(|_| fits),
            client,
            redirect_uri,
        })
    }

    /// Logs the user in and notes what it lets the client have; the code is for the client alone.
    ///
    /// Whatever is wrong with the login, the refusal is the same, as it is at [`Identity::log_in`].
    pub(crate) async fn allow(
        &self,
        consent: &Consent,
        metadata: &Metadata,
    ) -> Result<Allowed, Failure> {
        let (checked, rehashed) = self.checked(&consent.login).await?;
        let code = OpaqueToken::generate(Prefix::CODE);
        let note = || self.note_consent(consent, &checked, rehashed.as_ref(), &code, metadata);
        let device = retried(note).await?;
        Ok(Allowed { code, device })
    }

    async fn note_consent(
        &self,
        consent: &Consent,
        checked: &Credentials,
        rehashed: Option<&PasswordHash>,
        code: &OpaqueToken,
        metadata: &Metadata,
    ) -> Result<Option<String>, Failure> {
        let now = clock::now();
        let mut work = Work::begin(&self.db, metadata);
        let user = self
            .users
            .note_login(work.rows(), checked, rehashed, now)
            .await?
            .ok_or(Refusal::BadCredentials)?;
        let Consent {
            asked,
            authorization,
            login,
        } = consent;
        let code = Code {
            hash: code.digest(),
            client: asked.client.id,
            user: checked.user,
            redirect_uri: asked.redirect_uri.clone(),
            scopes: authorization.scopes.clone(),
            nonce: authorization.nonce.clone(),
            challenge: authorization.challenge.clone(),
            credentials: fingerprint(rehashed.unwrap_or(&checked.password)),
            epoch: Some(user.epoch),
            authenticated_at: now,
            expires_at: now.saturating_add(CODE_TTL).unwrap_or(now),
            session: None,
        };
        self.oauth.codes.add(work.rows(), &code).await?;
        work.record(&Event::ConsentGiven {
            user_id: code.user,
            client_id: code.client,
            scopes: code.scopes.to_string(),
        })?;
        work.commit().await?;
        Ok(self.introduced(&user, checked, rehashed, &login.client))
    }
}

/// What tells one password from the next without being its hash.
pub(super) fn fingerprint(password: &PasswordHash) -> [u8; 32] {
    hmac_sha256(FINGERPRINT, password.expose().as_bytes())
}

fn authorization(
    client: &RegisteredClient,
    parameters: &Parameters,
) -> Result<Authorization, Refused> {
    let refuse = |error: OAuthError, why| Err(error.because(why));
    if parameters.get("request").is_some() {
        return refuse(OAuthError::RequestNotSupported, "request is not read here");
    }
    if parameters.get("request_uri").is_some() {
        let why = "request_uri is not fetched here";
        return refuse(OAuthError::RequestUriNotSupported, why);
    }
    match parameters.get("response_type") {
        Some("code") => {}
        Some(_) => return refuse(OAuthError::UnsupportedResponseType, "response_type is code"),
        None => return refuse(OAuthError::InvalidRequest, "response_type is missing"),
    }
    if parameters
        .get("response_mode")
        .is_some_and(|mode| mode != "query")
    {
        return refuse(OAuthError::InvalidRequest, "response_mode is query");
    }
    let fits = |name| {
        let value = parameters.get(name);
        value.is_none_or(|value: &str| value.len() <= ECHO_BYTES_MAX)
    };
    if !fits("state") || !fits("nonce") {
        return refuse(
            OAuthError::InvalidRequest,
            "state and nonce have at most 512 bytes",
        );
    }
    let prompts = parameters.get("prompt").unwrap_or_default();
    if prompts.split(' ').any(|prompt| prompt == "none") {
        return refuse(OAuthError::LoginRequired, "the user logs in each time");
    }
    Ok(Authorization {
        challenge: challenge(parameters)?,
        scopes: scopes(client, parameters.get("scope"))?,
        nonce: parameters.get("nonce").map(str::to_owned),
    })
}

fn challenge(parameters: &Parameters) -> Result<Challenge, Refused> {
    let (challenge, method) = ("code_challenge", "code_challenge_method");
    let read = Challenge::of(parameters.get(challenge), parameters.get(method));
    read.map_err(|error| {
        OAuthError::InvalidRequest.because(match error {
            PkceError::Missing => "code_challenge is missing",
            PkceError::Method => "code_challenge_method is S256",
            PkceError::Malformed => "code_challenge is the base64url of a SHA-256",
        })
    })
}

/// What is asked for, less what this client could not use anyway.
fn scopes(client: &RegisteredClient, scope: Option<&str>) -> Result<Scopes, Refused> {
    let missing = OAuthError::InvalidScope.because("scope is missing");
    let asked = super::issue::asked_within(Some(scope.ok_or(missing)?), &client.plan.scopes)?;
    if !scope::suit_a_user(&asked) {
        let why = "permissions go with the scope shop, by which the client acts as the user";
        return Err(OAuthError::InvalidScope.because(why));
    }
    let refreshes = client.may(Flow::RefreshToken);
    Ok(asked.only(|scope| refreshes || scope != scope::OFFLINE))
}
