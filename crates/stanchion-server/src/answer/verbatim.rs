use std::marker::PhantomData;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Outcome, Reply};
use crate::describe::{Description, ReplyShape};
use crate::envelope::Rendered;

/// An answer exactly as it is given, errors included: what another standard fixes, such as OAuth's.
///
/// `T` is the body of its success, `E` that of its errors; the operation declares their statuses with
/// [`Operation::status`](crate::Operation::status). What happens before the handler (overload, deadlines, bodies beyond
/// the limit) is answered in the service's own form.
#[derive(Debug)]
pub struct Verbatim<T, E = ()> {
    response: Response,
    bodies: PhantomData<fn() -> (T, E)>,
}

/// A page for people, exactly as it is given, or a redirect. It brings its own `Content-Security-Policy`.
#[derive(Debug)]
pub struct Html(Response);

impl<T, E> Verbatim<T, E> {
    /// This body with this status.
    #[must_use]
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        Self::of((status, Json(body)).into_response())
    }

    /// This status and nothing else.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self::of(status.into_response())
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.response.headers_mut().insert(name, value);
        self
    }

    fn of(response: Response) -> Self {
        Self {
            response,
            bodies: PhantomData,
        }
    }
}

impl Html {
    /// This page with this status.
    #[must_use]
    pub fn page(status: StatusCode, page: String) -> Self {
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        Self((status, page).into_response()).header(CONTENT_TYPE, html)
    }

    /// Nothing to read: this status alone, such as a redirect's.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self(status.into_response())
    }

    /// Adds a header, or another one of that name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers_mut().insert(name, value);
        self
    }
}

impl<T: ToSchema, E: ToSchema> Reply for Verbatim<T, E> {
    fn describe(description: &mut Description) {
        description.reply = ReplyShape::Verbatim {
            content_type: "application/json",
            success: description.schemas.of::<T>(),
            failure: Some(description.schemas.of::<E>()),
        };
    }

    fn into_outcome(self) -> Outcome {
        as_it_is(self.response)
    }
}

impl Reply for Html {
    fn describe(description: &mut Description) {
        description.reply = ReplyShape::Verbatim {
            content_type: "text/html",
            success: serde_json::json!({"type": "string"}),
            failure: None,
        };
    }

    fn into_outcome(self) -> Outcome {
        as_it_is(self.0)
    }
}

/// Marked, so that nobody puts an error into another form.
fn as_it_is(mut response: Response) -> Outcome {
    response.extensions_mut().insert(Rendered);
    Outcome::Raw(response)
}
