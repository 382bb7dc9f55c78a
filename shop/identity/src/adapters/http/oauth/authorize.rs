//! `/oauth2/authorize`: the request of a browser, and the form of its page.

use std::sync::Arc;

use axum::extract::State;
use http::header::{LOCATION, RETRY_AFTER, SET_COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use secrecy::SecretString;
use stanchion::auth::oauth::{OAuthError, OpaqueToken, Parameters, Prefix, Refused};
use stanchion::auth::secret::equal;
use stanchion::eventsourcing::Metadata;
use stanchion::server::{Anyone, Html, RequestContext, Routes, op};

use super::answer::Refusal;
use super::csrf::{Cookie, is_own_page};
use super::form::{Asking, Field, Fields, Form};
use super::page::{Page, Wrong, dead_end};
use super::paths;
use super::token_fields::{optional, required};
use crate::application::oauth::{Asked, Consent, Unanswerable};
use crate::application::{Failure, Identity, Login, Refusal as LoginRefusal};
use crate::domain::Client;

const STALE_PAGE: &str =
    "The form did not come from the page that was shown to you here, or that page is too old.";

pub(super) enum AuthorizeFields {}
pub(super) enum ConsentFields {}

impl Fields for AuthorizeFields {
    const FIELDS: &'static [Field] = &[
        required("response_type", "`code`."),
        required("client_id", "Which client asks."),
        required(
            "redirect_uri",
            "Where the answer goes; exactly as registered.",
        ),
        required("scope", "What for, with one space between."),
        required(
            "code_challenge",
            "Base64url of the verifier's SHA-256 (RFC 7636).",
        ),
        required("code_challenge_method", "`S256`."),
        optional("state", "Given back with the answer."),
        optional("nonce", "Given back in the ID token."),
        optional(
            "prompt",
            "`none` is answered with `login_required`: the user logs in each time.",
        ),
    ];
}

impl Fields for ConsentFields {
    const FIELDS: &'static [Field] = &[
        required("client_id", "The fields of the request again, all of them."),
        required("csrf", "What the page has, and its cookie."),
        required("decision", "`allow` or `deny`."),
        optional("login", "An e-mail address or a username."),
        optional("password", "The password."),
    ];
}

pub(super) fn routes() -> Routes<Arc<Identity>> {
    Routes::new()
        .get(
            paths::AUTHORIZE,
            op("Ask a user to sign in and let a client have access", authorize)
                .about("For browsers. An unknown client and a redirect URI that is not registered are never redirected.")
                .status(200)
                .status(303)
                .status(400)
                .status(429)
                .status(503),
        )
        .post(
            paths::AUTHORIZE,
            op("Sign in and decide", decide)
                .about("The form of the page; anything else is refused.")
                .status(303)
                .status(400)
                .status(403)
                .status(413)
                .status(429)
                .status(503),
        )
}

async fn authorize(
    _: Anyone,
    State(identity): State<Arc<Identity>>,
    context: RequestContext,
    headers: HeaderMap,
    asking: Asking<AuthorizeFields>,
) -> Html {
    let parameters = match asking.0 {
        Ok(parameters) => parameters,
        Err(refusal) => return refused(&refusal),
    };
    let asked = match identity.asked(&parameters, context.remote()).await {
        Ok(asked) => asked,
        Err(unanswerable) => return nobody(&unanswerable),
    };
    let authorization = match &asked.authorization {
        Ok(authorization) => authorization,
        Err(refused) => return sent_back(&identity, &asked, *refused),
    };
    let cookie = Cookie::page(&identity);
    // Two tabs share one.
    let csrf = cookie
        .read(&headers)
        .and_then(|text| OpaqueToken::parse(Prefix::PAGE, text))
        .unwrap_or_else(|| OpaqueToken::generate(Prefix::PAGE));
    let page = Page {
        asked: &asked,
        authorization,
        parameters: &parameters,
        csrf: csrf.expose(),
        login: "",
        wrong: Wrong::Nothing,
    };
    page.answer(StatusCode::OK)
        .header(SET_COOKIE, cookie.set(csrf.expose()))
}

async fn decide(
    _: Anyone,
    State(identity): State<Arc<Identity>>,
    context: RequestContext,
    uri: Uri,
    headers: HeaderMap,
    form: Form<ConsentFields>,
) -> Html {
    let parameters = match form.0 {
        Ok(parameters) => parameters,
        Err(refusal) => return refused(&refusal),
    };
    let csrf = Cookie::page(&identity).read(&headers);
    let csrf = csrf.and_then(|text| OpaqueToken::parse(Prefix::PAGE, text));
    let given = parameters.get("csrf").unwrap_or_default();
    let csrf = csrf.filter(|known| equal(known.expose().as_bytes(), given.as_bytes()));
    let Some(csrf) = csrf.filter(|_| is_own_page(&headers, &uri)) else {
        return dead_end(StatusCode::FORBIDDEN, STALE_PAGE);
    };
    let mut asked = match identity.asked(&parameters, context.remote()).await {
        Ok(asked) => asked,
        Err(unanswerable) => return nobody(&unanswerable),
    };
    let no = OAuthError::AccessDenied.because("the user said no");
    let denied = parameters.get("decision") != Some("allow");
    let authorization = std::mem::replace(&mut asked.authorization, Err(no));
    let authorization = match authorization {
        Ok(authorization) if !denied => authorization,
        Ok(_) => return sent_back(&identity, &asked, no),
        Err(refused) => return sent_back(&identity, &asked, refused),
    };
    let consent = Consent {
        asked,
        authorization,
        login: login(&identity, &parameters, &headers, &context),
    };
    match identity.allow(&consent, &Metadata::new(None)).await {
        Ok(allowed) => {
            let answer = [("code", allowed.code.expose())];
            let sent = answered(&identity, &consent.asked, &answer);
            known_from_now_on(&identity, allowed.device.as_deref(), sent)
        }
        Err(failure) => again(&failure, &consent, &parameters, &csrf),
    }
}

/// The browser shows next time that it is known here, and others' failures do not shut it out.
fn known_from_now_on(identity: &Identity, proof: Option<&str>, sent: Html) -> Html {
    match proof {
        Some(proof) => sent.header(SET_COOKIE, Cookie::device(identity).set(proof)),
        None => sent,
    }
}

/// The page once more, with what was wrong; or the client is told what failed here.
fn again(
    failure: &Failure,
    consent: &Consent,
    parameters: &Parameters,
    csrf: &OpaqueToken,
) -> Html {
    let (status, wrong) = match failure {
        Failure::Refused(LoginRefusal::BadCredentials) => {
            (StatusCode::FORBIDDEN, Wrong::Credentials)
        }
        Failure::Busy => (StatusCode::SERVICE_UNAVAILABLE, Wrong::Busy),
        Failure::Limited { .. } => (StatusCode::TOO_MANY_REQUESTS, Wrong::TooOften),
        failure => return refused(&Refusal::of(failure)),
    };
    let page = Page {
        asked: &consent.asked,
        authorization: &consent.authorization,
        parameters,
        csrf: csrf.expose(),
        login: &consent.login.login,
        wrong,
    };
    let page = page.answer(status);
    match wrong {
        Wrong::Busy | Wrong::TooOften => {
            page.header(RETRY_AFTER, Refusal::of(failure).retry_after())
        }
        Wrong::Nothing | Wrong::Credentials => page,
    }
}

fn login(
    identity: &Identity,
    parameters: &Parameters,
    headers: &HeaderMap,
    context: &RequestContext,
) -> Login {
    let proof = Cookie::device(identity).read(headers);
    let agent = headers
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok());
    let address = context.remote().map(|address| address.to_string());
    let login = parameters.get("login").unwrap_or_default();
    Login {
        login: login.chars().take(255).collect(),
        password: SecretString::from(parameters.get("password").unwrap_or_default()),
        client: Client::new(agent, address.as_deref()).proven_by(proof),
    }
}

fn refused(refusal: &Refusal) -> Html {
    let page = dead_end(refusal.status, refusal.refused.why);
    match refusal.refused.error {
        OAuthError::TemporarilyUnavailable => page.header(RETRY_AFTER, refusal.retry_after()),
        _ => page,
    }
}

fn nobody(unanswerable: &Unanswerable) -> Html {
    match unanswerable {
        Unanswerable::Refused(why) => dead_end(StatusCode::BAD_REQUEST, why),
        Unanswerable::Failed(failure) => refused(&Refusal::of(failure)),
    }
}

fn sent_back(identity: &Identity, asked: &Asked, refused: Refused) -> Html {
    let error = [
        ("error", refused.error.name()),
        ("error_description", refused.why),
    ];
    answered(identity, asked, &error)
}

/// To where the client wants its answer, with who gives it (RFC 9207) and the client's state. 303, so that no form and
/// no password goes along (RFC 9700, 4.12).
fn answered(identity: &Identity, asked: &Asked, answer: &[(&str, &str)]) -> Html {
    let mut parameters = answer.to_vec();
    parameters.push(("iss", identity.tokens.issuer()));
    if let Some(state) = &asked.state {
        parameters.push(("state", state));
    }
    let place = asked.redirect_uri.with(&parameters);
    match HeaderValue::from_str(&place) {
        Ok(place) => Html::empty(StatusCode::SEE_OTHER).header(LOCATION, place),
        // It is printable ASCII, all of it.
        Err(_) => dead_end(StatusCode::BAD_REQUEST, "The answer cannot be sent there."),
    }
}
