//! The errors of the protocols, as JSON.

use std::time::Duration;

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use stanchion::auth::oauth::{OAuthError, Refused};
use stanchion::server::{ToSchema, Verbatim};
use stanchion::sql::SqlError;

use crate::application::Failure;
use crate::application::oauth::OAuthFailure;

/// An error of OAuth (RFC 6749, 5.2).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = OAuthError)]
pub(super) struct ErrorView {
    #[schema(example = "invalid_request")]
    pub(super) error: &'static str,
    /// For the client's developer.
    pub(super) error_description: &'static str,
}

/// What a client is refused with.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) refused: Refused,
    /// When it may come back, if that is known.
    pub(super) retry_after: Option<Duration>,
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let status = match refused.error {
            OAuthError::InvalidClient | OAuthError::InvalidToken => StatusCode::UNAUTHORIZED,
            OAuthError::InsufficientScope => StatusCode::FORBIDDEN,
            OAuthError::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            OAuthError::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Self {
            status,
            refused,
            retry_after: None,
        }
    }
}

impl From<OAuthFailure> for Refusal {
    fn from(failure: OAuthFailure) -> Self {
        match failure {
            OAuthFailure::Refused(refused) => refused.into(),
            OAuthFailure::Failed(failure) => failure.into(),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::of(&failure)
    }
}

/// What a client is told of what went wrong here; the rest is for the log.
fn broken(failure: &Failure) -> Refused {
    match failure {
        Failure::Limited { .. } => {
            // No RFC has a code for it; the status says what it is.
            let error = OAuthError::TemporarilyUnavailable;
            error.because("too much was wrong that came from there, come back later")
        }
        Failure::Busy
        | Failure::Store(
            SqlError::Unavailable(_)
            | SqlError::InDoubt(_)
            | SqlError::Timeout(_)
            | SqlError::Serialization(_),
        ) => {
            tracing::warn!(%failure, "a client was told to come back");
            OAuthError::TemporarilyUnavailable.because("try again in a moment")
        }
        failure => {
            tracing::error!(%failure, "a client's request failed");
            OAuthError::ServerError.because("it failed here, not at the client")
        }
    }
}

impl Refusal {
    pub(super) fn of(failure: &Failure) -> Self {
        let told = Self::from(broken(failure));
        match failure {
            Failure::Limited { refusal, .. } => Self {
                status: StatusCode::TOO_MANY_REQUESTS,
                retry_after: refusal.retry_after(),
                ..told
            },
            _ => told,
        }
    }

    /// Whole seconds, one at least.
    pub(super) fn retry_after(&self) -> HeaderValue {
        let wait = self.retry_after.unwrap_or_default();
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        HeaderValue::from(seconds.max(1))
    }

    pub(super) fn answer<T>(self) -> Verbatim<T, ErrorView> {
        let retry_after = self.retry_after();
        let Self {
            status, refused, ..
        } = self;
        let view = ErrorView {
            error: refused.error.name(),
            error_description: refused.why,
        };
        let answer = Verbatim::json(status, &view);
        match refused.error {
            OAuthError::InvalidClient => answer.header(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"oauth2\""),
            ),
            OAuthError::InvalidToken | OAuthError::InsufficientScope => {
                let challenge = format!("Bearer error=\"{}\"", view.error);
                let challenge = HeaderValue::from_str(&challenge);
                let plain = HeaderValue::from_static("Bearer");
                answer.header(WWW_AUTHENTICATE, challenge.unwrap_or(plain))
            }
            OAuthError::TemporarilyUnavailable => answer.header(RETRY_AFTER, retry_after),
            _ => answer,
        }
    }
}
