//! Refusals as answers: the one place where they are mapped.

use stanchion::server::{Code, Problem};

use crate::__context__::domain::__thing__::__Thing__Refusal;

pub(super) const __THING___NOT_FOUND: Code =
    Code::not_found("__THING___NOT_FOUND", "There is no such __thing_words__.");
pub(super) const __THING___CLOSED: Code =
    Code::conflict("__THING___CLOSED", "The __thing_words__ is closed.");
const __THING___EXISTS: Code = Code::exists("__THING___EXISTS", "It is open already.");

impl From<__Thing__Refusal> for Problem {
    fn from(refusal: __Thing__Refusal) -> Self {
        match refusal {
            __Thing__Refusal::Unknown => __THING___NOT_FOUND.problem(),
            __Thing__Refusal::AlreadyOpen => __THING___EXISTS.problem(),
            __Thing__Refusal::Closed => __THING___CLOSED.problem(),
        }
    }
}
