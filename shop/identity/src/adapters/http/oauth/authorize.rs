//! `/oauth2/authorize`: the request of a browser, and the form of its page.

use std::sync::Arc;

use axum::extract::State;
use http::header::{COOKIE, LOCATION, ORIGIN, RETRY_AFTER, SET_COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use secrecy::SecretString;
use stanchion::auth::oauth::{OAuthError, OpaqueToken, Parameters, Prefix, Refused};
use stanchion::auth::secret::equal;
use stanchion::eventsourcing::Metadata;
use stanchion::server::{Anyone, Html, RequestContext, Routes, op};

use super::answer::{Refusal, broken};
use super::form::{Asking, Field, Fields, Form};
use super::page::{Page, Wrong, dead_end};
use super::paths;
use super::token_fields::{optional, required};
use crate::application::oauth::{Asked, Consent, Unanswerable};
use crate::application::{Failure, Identity, Login, Refusal as LoginRefusal};
use crate::domain::Client;

/// How long a page may lie open, in seconds.
const PAGE_KEPT: u32 = 3_600;

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
                .status(400),
        )
        .post(
            paths::AUTHORIZE,
            op("Sign in and decide", decide)
                .about("The form of the page; anything else is refused.")
                .status(303)
                .status(400)
                .status(403),
        )
}

async fn authorize(
    _: Anyone,
    State(identity): State<Arc<Identity>>,
    headers: HeaderMap,
    asking: Asking<AuthorizeFields>,
) -> Html {
    let parameters = match asking.0 {
        Ok(parameters) => parameters,
        Err(refusal) => return refused(&refusal),
    };
    let asked = match identity.asked(&parameters).await {
        Ok(asked) => asked,
        Err(unanswerable) => return nobody(&unanswerable),
    };
    let authorization = match &asked.authorization {
        Ok(authorization) => authorization,
        Err(refused) => return sent_back(&identity, &asked, *refused),
    };
    let cookie = Cookie::of(&identity);
    // Two tabs share one.
    let csrf = cookie
        .read(&headers)
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
        .header(SET_COOKIE, cookie.set(&csrf))
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
    let csrf = Cookie::of(&identity).read(&headers);
    let given = parameters.get("csrf").unwrap_or_default();
    let csrf = csrf.filter(|known| equal(known.expose().as_bytes(), given.as_bytes()));
    let Some(csrf) = csrf.filter(|_| is_own_page(&headers, &uri)) else {
        return dead_end(StatusCode::FORBIDDEN, STALE_PAGE);
    };
    let mut asked = match identity.asked(&parameters).await {
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
        login: login(&parameters, &headers, &context),
    };
    match identity.allow(&consent, &Metadata::new(None)).await {
        Ok(code) => answered(&identity, &consent.asked, &[("code", code.expose())]),
        Err(failure) => again(&failure, &consent, &parameters, &csrf),
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
        failure => {
            let Refusal { status, refused } = broken(failure).into();
            return dead_end(status, refused.why);
        }
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
        Wrong::Busy => page.header(RETRY_AFTER, HeaderValue::from_static("1")),
        _ => page,
    }
}

fn login(parameters: &Parameters, headers: &HeaderMap, context: &RequestContext) -> Login {
    let agent = headers
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok());
    let address = context.remote().map(|address| address.to_string());
    let login = parameters.get("login").unwrap_or_default();
    Login {
        login: login.chars().take(255).collect(),
        password: SecretString::from(parameters.get("password").unwrap_or_default()),
        client: Client::new(agent, address.as_deref()),
    }
}

fn refused(refusal: &Refusal) -> Html {
    dead_end(refusal.status, refusal.refused.why)
}

fn nobody(unanswerable: &Unanswerable) -> Html {
    match unanswerable {
        Unanswerable::Refused(why) => dead_end(StatusCode::BAD_REQUEST, why),
        Unanswerable::Failed(failure) => {
            let Refusal { status, refused } = broken(failure).into();
            dead_end(status, refused.why)
        }
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

/// Whether a browser says that the form is on a page of ours; one that says nothing is judged by the cookie alone.
fn is_own_page(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = text(ORIGIN.as_str()) else {
        return true;
    };
    let host = text("host").or(uri.authority().map(|host| host.as_str()));
    origin.split_once("://").map(|(_, host)| host) == host
}

/// What ties a form to the browser that was shown it.
struct Cookie {
    secure: bool,
}

impl Cookie {
    fn of(identity: &Identity) -> Self {
        let secure = identity.tokens.issuer().starts_with("https:");
        Self { secure }
    }

    /// Under this prefix a browser takes no cookie that another host or plain HTTP has set.
    fn name(&self) -> &'static str {
        match self.secure {
            true => "__Host-authorize",
            false => "authorize",
        }
    }

    fn read(&self, headers: &HeaderMap) -> Option<OpaqueToken> {
        let values = headers.get_all(COOKIE).iter();
        let mut pairs = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let (_, value) = pairs.find(|(name, _)| *name == self.name())?;
        OpaqueToken::parse(Prefix::PAGE, value)
    }

    fn set(&self, value: &OpaqueToken) -> HeaderValue {
        let (name, value) = (self.name(), value.expose());
        let secure = if self.secure { "; Secure" } else { "" };
        let cookie =
            format!("{name}={value}; Path=/; Max-Age={PAGE_KEPT}; HttpOnly; SameSite=Lax{secure}");
        let mut cookie = HeaderValue::from_str(&cookie).unwrap_or(HeaderValue::from_static(""));
        cookie.set_sensitive(true);
        cookie
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_of_our_own_may_send_the_form() {
        let judged = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            });
            is_own_page(&headers.collect(), &Uri::from_static("/oauth2/authorize"))
        };
        let host = ("host", "shop.example");
        assert!(judged(&[host, ("sec-fetch-site", "same-origin")]));
        assert!(judged(&[host, ("origin", "https://shop.example")]) && judged(&[host]));
        for other in ["cross-site", "same-site", "none", ""] {
            assert!(!judged(&[host, ("sec-fetch-site", other)]), "{other}");
        }
        for other in ["https://evil.example", "null", "https://shop.example.evil"] {
            assert!(!judged(&[host, ("origin", other)]), "{other}");
        }
    }
}
