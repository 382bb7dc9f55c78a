use axum::Json;
use axum::response::IntoResponse;
use http::header::{HeaderName, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Outcome, Reply};
use crate::describe::{Description, ReplyShape};

/// 200 with JSON in a form of its own, without the envelope: what another standard fixes.
#[derive(Clone, Debug)]
pub struct Plain<T> {
    data: T,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl<T> Plain<T> {
    /// 200 with this.
    #[must_use]
    pub fn ok(data: T) -> Self {
        Self {
            data,
            headers: Vec::new(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl<T: Serialize + ToSchema> Reply for Plain<T> {
    fn describe(description: &mut Description) {
        description.reply = ReplyShape::Plain(description.schemas.of::<T>());
    }

    fn into_outcome(self) -> Outcome {
        let mut response = Json(self.data).into_response();
        response.headers_mut().extend(self.headers);
        Outcome::Raw(response)
    }
}
