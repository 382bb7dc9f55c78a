//! Parameters of a request: in a form's body, or (for the authorization request alone) in the URL.

use std::convert::Infallible;
use std::marker::PhantomData;

use axum::extract::{FromRequest, FromRequestParts, Request};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use stanchion::auth::oauth::{NotAForm, OAuthError, Parameters, Refused};
use stanchion::server::{Describe, Description};

use super::answer::Refusal;

/// The largest form that is read, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

const FORM: &str = "application/x-www-form-urlencoded";

/// A parameter, as the OpenAPI document tells it.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) about: &'static str,
}

/// Which parameters an operation reads; others are ignored (RFC 6749, 3.1).
pub(super) trait Fields: Send + 'static {
    const FIELDS: &'static [Field];
}

/// The parameters in a form's body, or why there are none. A URL with parameters is refused: tokens and secrets in it
/// would stand in logs and histories.
pub(super) struct Form<F>(
    pub(super) Result<Parameters, Refusal>,
    PhantomData<fn() -> F>,
);

/// The parameters in the URL, or why they cannot be read.
pub(super) struct Asking<F>(
    pub(super) Result<Parameters, Refusal>,
    PhantomData<fn() -> F>,
);

impl<F: Fields, S: Send + Sync> FromRequest<S> for Form<F> {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(Self(read(request).await, PhantomData))
    }
}

impl<F: Fields, S: Send + Sync> FromRequestParts<S> for Asking<F> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        let read = Parameters::parse(query.as_bytes()).map_err(not_a_form);
        Ok(Self(read, PhantomData))
    }
}

impl<F: Fields> Describe for Form<F> {
    fn describe(description: &mut Description) {
        let properties: Map<_, _> = F::FIELDS
            .iter()
            .map(|field| {
                let schema = json!({"type": "string", "description": field.about});
                (field.name.to_owned(), schema)
            })
            .collect();
        let required = F::FIELDS.iter().filter(|field| field.required);
        let required: Vec<_> = required.map(|field| field.name).collect();
        let schema = json!({"type": "object", "properties": properties, "required": required});
        description.body(FORM, &schema);
    }
}

impl<F: Fields> Describe for Asking<F> {
    fn describe(description: &mut Description) {
        let text: Value = json!({"type": "string"});
        for field in F::FIELDS {
            description.query(field.name, field.required, field.about, text.clone());
        }
    }
}

async fn read(request: Request) -> Result<Parameters, Refusal> {
    if request.uri().query().is_some_and(|query| !query.is_empty()) {
        return Err(refuse("parameters belong in the body, not in the URL").into());
    }
    if !is_form(request.headers()) {
        return Err(refuse("the body is not application/x-www-form-urlencoded").into());
    }
    let body = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX).await;
    let body = body.map_err(|_| Refusal {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        ..Refusal::from(refuse("the body has more than 16 KiB, or broke off"))
    })?;
    Parameters::parse(&body).map_err(not_a_form)
}

fn is_form(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let first = values.next().and_then(|value| value.to_str().ok());
    let essence = first.unwrap_or_default().split(';').next();
    let is_form = essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(FORM));
    is_form && values.next().is_none()
}

fn not_a_form(error: NotAForm) -> Refusal {
    refuse(match error {
        NotAForm::Malformed => "the parameters are not form-urlencoded UTF-8",
        NotAForm::Repeated => "a parameter is repeated",
        NotAForm::TooMany => "there are more than 32 parameters",
    })
    .into()
}

fn refuse(why: &'static str) -> Refused {
    OAuthError::InvalidRequest.because(why)
}
