use std::fmt;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use stanchion_client::{ClientError, Reason, SetupError};

/// Why a call gave nothing.
#[derive(Debug, Clone)]
pub enum ShopError {
    /// The shop says no: which rule, in its words.
    Refused {
        /// The status.
        status: StatusCode,
        /// Such as `VALIDATION_FAILED` or `ORDER_NOT_FOUND`.
        code: String,
        /// A sentence.
        message: String,
        /// What exactly, such as `fields`.
        details: Map<String, Value>,
        /// By which the shop's people find it in their logs.
        request_id: Option<String>,
    },
    /// The shop could not be asked, or its answer was lost. Whether it was done, [`ClientError`] says as far as it is
    /// known; the same idempotency key finds out.
    Unanswered(ClientError),
    /// Its answer is not what this version of the client understands.
    NotUnderstood(String),
    /// There is no client of such a URL or with such settings.
    Setup(SetupError),
}

#[derive(Deserialize)]
struct Body {
    error: Fields,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Fields {
    code: String,
    message: String,
    #[serde(default)]
    details: Map<String, Value>,
}

#[derive(Deserialize)]
struct Meta {
    request_id: Option<String>,
}

impl ShopError {
    /// The code of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}

/// An answer of the shop in its own words becomes a refusal; what a proxy says instead stays unanswered.
impl From<ClientError> for ShopError {
    fn from(error: ClientError) -> Self {
        let Reason::Status(answer) = error.reason() else {
            return Self::Unanswered(error);
        };
        match answer.json::<Body>() {
            Ok(body) => Self::Refused {
                status: answer.status(),
                code: body.error.code,
                message: body.error.message,
                details: body.error.details,
                request_id: body.meta.and_then(|meta| meta.request_id),
            },
            Err(_) => Self::Unanswered(error),
        }
    }
}

impl From<SetupError> for ShopError {
    fn from(error: SetupError) -> Self {
        Self::Setup(error)
    }
}

impl fmt::Display for ShopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, message, .. } => write!(f, "{message} ({code})"),
            Self::Unanswered(error) => error.fmt(f),
            Self::NotUnderstood(why) => write!(f, "the shop's answer is not understood: {why}"),
            Self::Setup(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ShopError {}
