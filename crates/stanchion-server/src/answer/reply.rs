use std::any::TypeId;

use axum::response::{IntoResponse, Response};
use http::header::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Map, Value};
use stanchion_messaging::{LogId, Position};
use utoipa::ToSchema;

use super::{Answer, StoredSuccess};
use crate::Problem;
use crate::describe::{Description, ReplyShape};

/// What a handler may return: [`Answer`], [`Listed`](crate::Listed), [`Events`](crate::Events), or a
/// `Result` of one of them with an error that becomes a [`Problem`].
pub trait Reply {
    /// Tells the form of the answer.
    fn describe(description: &mut Description);

    /// What became of the request.
    #[doc(hidden)]
    fn into_outcome(self) -> Outcome;
}

/// What became of a request, before it is bytes.
#[doc(hidden)]
#[derive(Debug)]
pub enum Outcome {
    /// A success in the envelope.
    Success(Success),
    /// A problem the handler decided on.
    Problem(Problem),
    /// A problem an extractor found: the handler was not called.
    Rejected(Response),
    /// A response in a form of its own.
    Raw(Response),
}

/// A success with all that is rendered around it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Success {
    pub(crate) stored: StoredSuccess,
    pub(crate) meta: Map<String, Value>,
    pub(crate) consistency: Option<(LogId, Position)>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) replayed: bool,
}

impl Success {
    pub(crate) fn of(stored: StoredSuccess) -> Self {
        Self {
            stored,
            meta: Map::new(),
            consistency: None,
            headers: Vec::new(),
            replayed: false,
        }
    }
}

impl<T: Serialize + ToSchema + 'static> Reply for Answer<T> {
    fn describe(description: &mut Description) {
        description.reply = if TypeId::of::<T>() == TypeId::of::<()>() {
            ReplyShape::Nothing
        } else {
            ReplyShape::One(description.schemas.of::<T>())
        };
    }

    fn into_outcome(self) -> Outcome {
        match self.stored() {
            Ok(stored) => Outcome::Success(Success {
                consistency: self.consistency,
                headers: self.headers,
                ..Success::of(stored)
            }),
            Err(error) => Outcome::Problem(Problem::internal(error)),
        }
    }
}

impl<R: Reply, E: Into<Problem>> Reply for Result<R, E> {
    fn describe(description: &mut Description) {
        R::describe(description);
    }

    fn into_outcome(self) -> Outcome {
        match self {
            Ok(reply) => reply.into_outcome(),
            Err(error) => Outcome::Problem(error.into()),
        }
    }
}

impl Outcome {
    pub(crate) fn rejected(rejection: impl IntoResponse) -> Self {
        Self::Rejected(rejection.into_response())
    }
}
