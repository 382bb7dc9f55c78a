use http::StatusCode;
use serde::Serialize;

use crate::Problem;

/// An error a client can be told: a stable name with its one status and its usual message.
///
/// A context keeps its codes as constants; the same constant makes the problem and describes it in
/// the OpenAPI document, so the two cannot differ.
///
/// ```
/// use stanchion_server::Code;
/// const EMAIL_TAKEN: Code = Code::conflict("EMAIL_TAKEN", "This e-mail address is taken.");
/// let problem = EMAIL_TAKEN.with("email", "a@example.com");
/// assert_eq!((problem.status().as_u16(), problem.code()), (409, "EMAIL_TAKEN"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    status: u16,
    name: &'static str,
    message: &'static str,
    about_existence: bool,
}

impl Code {
    /// A code with any 4xx or 5xx status.
    ///
    /// # Panics
    /// The status is no error: in a constant, that does not compile.
    #[must_use]
    pub const fn new(status: u16, name: &'static str, message: &'static str) -> Self {
        assert!(
            status >= 400 && status < 600,
            "an error code has a 4xx or 5xx status"
        );
        Self {
            status,
            name,
            message,
            about_existence: false,
        }
    }

    /// 404: there is no such thing, or it is not the caller's to see.
    #[must_use]
    pub const fn not_found(name: &'static str, message: &'static str) -> Self {
        Self::new(404, name, message)
    }

    /// 409: the state of things forbids it.
    #[must_use]
    pub const fn conflict(name: &'static str, message: &'static str) -> Self {
        Self::new(409, name, message)
    }

    /// 409: what was to be made is there already; gRPC's `ALREADY_EXISTS`.
    #[must_use]
    pub const fn exists(name: &'static str, message: &'static str) -> Self {
        let mut code = Self::conflict(name, message);
        code.about_existence = true;
        code
    }

    /// 422: the rules forbid it.
    #[must_use]
    pub const fn refused(name: &'static str, message: &'static str) -> Self {
        Self::new(422, name, message)
    }

    /// 503: what this needs is out of reach; answered with `Retry-After`.
    #[must_use]
    pub const fn unavailable(name: &'static str, message: &'static str) -> Self {
        Self::new(503, name, message)
    }

    /// The name, such as `EMAIL_TAKEN`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    pub(crate) const fn is_about_existence(self) -> bool {
        self.about_existence
    }

    /// The usual message.
    #[must_use]
    pub const fn message(self) -> &'static str {
        self.message
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.status).expect("checked when the code was made")
    }

    /// The problem with this code.
    #[must_use]
    pub fn problem(self) -> Problem {
        Problem::of(self)
    }

    /// The problem with this code and one detail.
    #[must_use]
    pub fn with(self, detail: &str, value: impl Serialize) -> Problem {
        self.problem().with(detail, value)
    }
}

/// The codes that the server itself answers with.
pub mod codes {
    use super::Code;

    /// A body that is no JSON, or JSON that means two things.
    pub const MALFORMED_JSON: Code =
        Code::new(400, "MALFORMED_JSON", "The body is not valid JSON.");
    /// A field the operation does not know.
    pub const UNKNOWN_FIELD: Code = Code::new(
        400,
        "UNKNOWN_FIELD",
        "The body has a field that this operation does not know.",
    );
    /// A wrong path, query or header parameter.
    pub const INVALID_PARAMETER: Code = Code::new(
        400,
        "INVALID_PARAMETER",
        "A parameter of the request is not valid.",
    );
    /// A cursor that was not made by this service for this list.
    pub const INVALID_CURSOR: Code = Code::new(
        400,
        "INVALID_CURSOR",
        "The cursor is not one that this list gave out; start again without it.",
    );
    /// A consistency token that was not made by this service.
    pub const INVALID_CONSISTENCY_TOKEN: Code = Code::new(
        400,
        "INVALID_CONSISTENCY_TOKEN",
        "The consistency token is not one that this service gave out.",
    );
    /// The route wants an idempotency key.
    pub const IDEMPOTENCY_KEY_REQUIRED: Code = Code::new(
        400,
        "IDEMPOTENCY_KEY_REQUIRED",
        "This operation needs an Idempotency-Key header.",
    );
    /// The request itself cannot be read.
    pub const BAD_REQUEST: Code = Code::new(400, "BAD_REQUEST", "The request cannot be read.");
    /// No valid token.
    pub const UNAUTHENTICATED: Code = Code::new(
        401,
        "UNAUTHENTICATED",
        "This operation needs a valid access token.",
    );
    /// The caller lacks the permission.
    pub const FORBIDDEN: Code = Code::new(
        403,
        "FORBIDDEN",
        "The caller does not have the permission for this.",
    );
    /// No route has this path.
    pub const ROUTE_NOT_FOUND: Code = Code::new(404, "ROUTE_NOT_FOUND", "There is nothing here.");
    /// The path exists, the method does not.
    pub const METHOD_NOT_ALLOWED: Code = Code::new(
        405,
        "METHOD_NOT_ALLOWED",
        "This path does not take that method; the Allow header names those it takes.",
    );
    /// The client accepts nothing this operation can answer.
    pub const NOT_ACCEPTABLE: Code = Code::new(
        406,
        "NOT_ACCEPTABLE",
        "This operation cannot answer in a form that is accepted.",
    );
    /// The body did not arrive in time.
    pub const REQUEST_TIMEOUT: Code = Code::new(
        408,
        "REQUEST_TIMEOUT",
        "The request did not arrive in time.",
    );
    /// The same idempotency key is being dealt with.
    pub const REQUEST_IN_PROGRESS: Code = Code::conflict(
        "REQUEST_IN_PROGRESS",
        "A request with this idempotency key is still running; try again.",
    );
    /// Somebody else changed it meanwhile.
    pub const VERSION_CONFLICT: Code = Code::conflict(
        "VERSION_CONFLICT",
        "It was changed by somebody else meanwhile; read it again.",
    );
    /// `If-Match` names another version.
    pub const PRECONDITION_FAILED: Code = Code::new(
        412,
        "PRECONDITION_FAILED",
        "It does not have the version that If-Match names; read it again.",
    );
    /// The body is too large.
    pub const PAYLOAD_TOO_LARGE: Code = Code::new(
        413,
        "PAYLOAD_TOO_LARGE",
        "The body is larger than this operation takes.",
    );
    /// The path and query are too long.
    pub const URI_TOO_LONG: Code =
        Code::new(414, "URI_TOO_LONG", "The path and query are too long.");
    /// The content type or encoding is not taken here.
    pub const UNSUPPORTED_MEDIA_TYPE: Code = Code::new(
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        "This operation does not take that content type or encoding.",
    );
    /// Fields break rules; `details.fields` names each with its reasons.
    pub const VALIDATION_FAILED: Code =
        Code::refused("VALIDATION_FAILED", "Some fields are not valid.");
    /// The caller or its address asked more often than it may; `Retry-After` says when it may again.
    pub const RATE_LIMITED: Code = Code::new(
        429,
        "RATE_LIMITED",
        "This was asked too often; try again later.",
    );
    /// The idempotency key was used for another request.
    pub const IDEMPOTENCY_KEY_REUSED: Code = Code::refused(
        "IDEMPOTENCY_KEY_REUSED",
        "This idempotency key was used for another request; take a new one.",
    );
    /// Too many or too large headers.
    pub const HEADERS_TOO_LARGE: Code = Code::new(
        431,
        "HEADERS_TOO_LARGE",
        "The headers are more or larger than this service takes.",
    );
    /// Something broke; the log has the cause under the request id.
    pub const INTERNAL: Code = Code::new(
        500,
        "INTERNAL",
        "Something went wrong on our side; the request id finds it in our log.",
    );
    /// More work than can be done now; nothing was begun.
    pub const OVERLOADED: Code = Code::unavailable(
        "OVERLOADED",
        "The service has more work than it can do; try again later.",
    );
    /// Something this needs is out of reach.
    pub const UNAVAILABLE: Code = Code::unavailable(
        "UNAVAILABLE",
        "Something that this operation needs is out of reach; try again later.",
    );
    /// The time is over; the outcome may be unknown.
    pub const DEADLINE_EXCEEDED: Code =
        Code::new(504, "DEADLINE_EXCEEDED", "The request's time is over.");
}
