//! Failures as answers: the one place where they are mapped.

use stanchion::server::{Code, Problem};
use stanchion::sql::SqlError;

use crate::__context__::application::Failure;
use crate::__context__::domain::__thing__::__Thing__Refusal;

pub(super) const __THING___NOT_FOUND: Code =
    Code::not_found("__THING___NOT_FOUND", "There is no such __thing_words__.");
pub(super) const __THING___CLOSED: Code =
    Code::conflict("__THING___CLOSED", "The __thing_words__ is closed.");

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(__Thing__Refusal::Unknown) => __THING___NOT_FOUND.problem(),
            Failure::Refused(__Thing__Refusal::Closed) => __THING___CLOSED.problem(),
            Failure::Stale => Problem::precondition_failed(),
            Failure::Store(error) => store(error),
            Failure::Log(error) => error.into(),
            Failure::Event(error) => Problem::internal(error),
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
