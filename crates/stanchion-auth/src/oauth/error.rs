/// An error code as it is written in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OAuthError {
    /// A parameter is missing, malformed or repeated (RFC 6749, 4.1.2.1 and 5.2).
    InvalidRequest,
    /// The client is unknown or did not prove who it is (RFC 6749, 5.2).
    InvalidClient,
    /// The code or refresh token is not valid (any more), or another client's (RFC 6749, 5.2).
    InvalidGrant,
    /// This client may not use this grant (RFC 6749, 5.2).
    UnauthorizedClient,
    /// No such grant here (RFC 6749, 5.2).
    UnsupportedGrantType,
    /// The scope is unknown, malformed, or more than the client may ask for (RFC 6749, 5.2).
    InvalidScope,
    /// Another response type than `code` (RFC 6749, 4.1.2.1).
    UnsupportedResponseType,
    /// The user said no (RFC 6749, 4.1.2.1).
    AccessDenied,
    /// Something broke (RFC 6749, 4.1.2.1).
    ServerError,
    /// Not now (RFC 6749, 4.1.2.1).
    TemporarilyUnavailable,
    /// `prompt=none`, and the user would have to log in (OpenID Connect Core, 3.1.2.6).
    LoginRequired,
    /// A `request` parameter, which is not read here (OpenID Connect Core, 3.1.2.6).
    RequestNotSupported,
    /// A `request_uri` parameter, which is not fetched here (OpenID Connect Core, 3.1.2.6).
    RequestUriNotSupported,
    /// The access token is not valid (RFC 6750, 3.1).
    InvalidToken,
    /// The access token does not cover this (RFC 6750, 3.1).
    InsufficientScope,
}

/// Why a request of a client is refused: the code and a sentence for its developer, both part of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", .error.name())]
pub struct Refused {
    /// The code.
    pub error: OAuthError,
    /// `error_description`: printable ASCII without quotes and backslashes (RFC 6749, 5.2).
    pub why: &'static str,
}

impl OAuthError {
    /// The code as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::AccessDenied => "access_denied",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::LoginRequired => "login_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }

    /// The refusal with this code, for this reason.
    #[must_use]
    pub const fn because(self, why: &'static str) -> Refused {
        Refused { error: self, why }
    }
}
