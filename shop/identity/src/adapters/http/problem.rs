use std::fmt;
use std::time::Duration;

use stanchion::server::{Code, Problem, codes};
use stanchion::sql::SqlError;

use crate::application::{Failure, Refusal};

pub(super) const USER_NOT_FOUND: Code = Code::not_found("USER_NOT_FOUND", "There is no such user.");
pub(super) const SESSION_NOT_FOUND: Code =
    Code::not_found("SESSION_NOT_FOUND", "There is no such session.");
pub(super) const EMAIL_TAKEN: Code =
    Code::exists("EMAIL_TAKEN", "There is a user with this e-mail address.");
pub(super) const TOO_MANY_ADDRESSES: Code = Code::conflict(
    "TOO_MANY_ADDRESSES",
    "The user has left as many e-mail addresses within 7 days as one may; go back to the first of them, or wait.",
);
pub(super) const USERNAME_TAKEN: Code =
    Code::exists("USERNAME_TAKEN", "There is a user with this username.");
pub(super) const API_KEY_NOT_FOUND: Code =
    Code::not_found("API_KEY_NOT_FOUND", "There is no such API key.");
pub(super) const TOO_MANY_API_KEYS: Code = Code::conflict(
    "TOO_MANY_API_KEYS",
    "The owner has as many API keys as one may have; revoke one first.",
);
pub(super) const MAIL_OFF: Code = Code::unavailable("MAIL_OFF", "No mails are sent here.");
pub(super) const LAST_ADMIN: Code = Code::conflict(
    "LAST_ADMIN",
    "This is the last active administrator; make somebody else one first.",
);

/// When the first of the mails that were enough is forgotten, at the latest.
const MAILS_AGAIN: Duration = Duration::from_secs(3_600);

/// The answer to a failed use case; the one place where they are mapped.
impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refused(refusal),
            Failure::Busy => codes::OVERLOADED.problem(),
            Failure::NoMail => MAIL_OFF.problem(),
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
        // Only an operator asks for one.
        Refusal::ClientNotFound => Problem::internal(refusal),
        Refusal::EmailTaken => EMAIL_TAKEN.problem(),
        Refusal::TooManyAddresses => TOO_MANY_ADDRESSES.problem(),
        Refusal::UsernameTaken => USERNAME_TAKEN.problem(),
        Refusal::Stale => codes::VERSION_CONFLICT.problem(),
        Refusal::LastAdmin => LAST_ADMIN.problem(),
        Refusal::WrongPassword => Problem::invalid_field("current_password", "is wrong"),
        Refusal::BadOneTimeToken => {
            Problem::invalid_field("token", "is not valid, or not any more")
        }
        Refusal::TooManyMails => codes::RATE_LIMITED.problem().retry_after(MAILS_AGAIN),
        Refusal::TooManyApiKeys => TOO_MANY_API_KEYS.problem(),
        Refusal::ApiKeyNotFound => API_KEY_NOT_FOUND.problem(),
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
