use std::fmt;

use stanchion::server::{Code, Problem, codes};
use stanchion::sql::SqlError;

use crate::application::{Failure, Refusal};

pub(super) const USER_NOT_FOUND: Code = Code::not_found("USER_NOT_FOUND", "There is no such user.");
pub(super) const SESSION_NOT_FOUND: Code =
    Code::not_found("SESSION_NOT_FOUND", "There is no such session.");
pub(super) const EMAIL_TAKEN: Code =
    Code::exists("EMAIL_TAKEN", "There is a user with this e-mail address.");
pub(super) const USERNAME_TAKEN: Code =
    Code::exists("USERNAME_TAKEN", "There is a user with this username.");
pub(super) const LAST_ADMIN: Code = Code::conflict(
    "LAST_ADMIN",
    "This is the last active administrator; make somebody else one first.",
);

/// The answer to a failed use case; the one place where they are mapped.
impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refused(refusal),
            Failure::Busy => codes::OVERLOADED.problem(),
            Failure::Limited { refusal, quota } => Problem::rate_limited(&refusal, &quota),
            Failure::Store(error) => store(error),
            Failure::Broken(_) => Problem::internal(failure),
        }
    }
}

pub(super) fn user_not_found(id: impl fmt::Display) -> Problem {
    USER_NOT_FOUND.with("user_id", id.to_string())
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::UserNotFound => USER_NOT_FOUND.problem(),
        Refusal::SessionNotFound => SESSION_NOT_FOUND.problem(),
        Refusal::EmailTaken => EMAIL_TAKEN.problem(),
        Refusal::UsernameTaken => USERNAME_TAKEN.problem(),
        Refusal::Stale => codes::VERSION_CONFLICT.problem(),
        Refusal::LastAdmin => LAST_ADMIN.problem(),
        Refusal::WrongPassword => Problem::invalid_field("current_password", "is wrong"),
        // One answer for unknown, suspended and deleted users and for wrong passwords: nothing is told of others.
        Refusal::BadCredentials => Problem::unauthenticated()
            .message("The login or the password is wrong, or the user may not log in."),
        Refusal::BadRefreshToken => {
            Problem::unauthenticated().message("The refresh token is not valid; log in again.")
        }
    }
}

fn store(error: SqlError) -> Problem {
    match error {
        SqlError::Unavailable(_)
        | SqlError::InDoubt(_)
        | SqlError::Timeout(_)
        | SqlError::Serialization(_) => Problem::unavailable(error),
        _ => Problem::internal(error),
    }
}
