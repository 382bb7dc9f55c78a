//! What handlers answer.

mod lasting;
mod listed;
mod plain;
mod reply;
mod sse;
mod stored;
mod verbatim;

pub use listed::{Listed, Page};
pub use plain::Plain;
pub use reply::Reply;
pub use sse::{Event, Events};
pub use verbatim::{Html, Verbatim};

pub(crate) use reply::{Outcome, Success};
pub(crate) use sse::lasting_events;
pub(crate) use stored::{StoredAnswer, StoredSuccess};

use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stanchion_messaging::{LogId, Position};

use crate::Problem;

/// A success: data in the envelope, with what belongs around it.
///
/// ```
/// use stanchion_server::Answer;
/// let answer = Answer::created("/orders/7", "an order").etag(0);
/// assert_eq!(answer.status().as_u16(), 201);
/// ```
#[derive(Clone, Debug)]
pub struct Answer<T = ()> {
    pub(crate) status: StatusCode,
    pub(crate) data: Option<T>,
    pub(crate) location: Option<String>,
    pub(crate) etag: Option<i64>,
    pub(crate) consistency: Option<(LogId, Position)>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl<T> Answer<T> {
    /// 200 with this.
    #[must_use]
    pub fn ok(data: T) -> Self {
        Self::new(StatusCode::OK, Some(data))
    }

    /// 201 with this, to be found at `location`.
    ///
    /// A location that begins with `/` is below the module's base path: `/orders/7`, not `/api/v1/orders/7`.
    #[must_use]
    pub fn created(location: impl Into<String>, data: T) -> Self {
        Self::new(StatusCode::CREATED, Some(data)).at(location)
    }

    /// 202 with this as it stands, to be found at `location`.
    #[must_use]
    pub fn accepted(location: impl Into<String>, data: T) -> Self {
        Self::new(StatusCode::ACCEPTED, Some(data)).at(location)
    }

    /// Adds `ETag`: the version, in quotes. With `If-None-Match` naming it, a GET answers 304.
    #[must_use]
    pub fn etag(mut self, version: i64) -> Self {
        self.etag = Some(version);
        self
    }

    /// Adds `Location`, relative as in [`created`](Self::created).
    #[must_use]
    pub fn at(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// Adds `meta.consistency_token`: where in the module's log the write is.
    #[must_use]
    pub fn consistency(mut self, log: LogId, position: Position) -> Self {
        self.consistency = Some((log, position));
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With another 2xx status; the operation must declare it.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The data, unless there is none.
    #[must_use]
    pub fn data(&self) -> Option<&T> {
        self.data.as_ref()
    }

    fn new(status: StatusCode, data: Option<T>) -> Self {
        Self {
            status,
            data,
            location: None,
            etag: None,
            consistency: None,
            headers: Vec::new(),
        }
    }
}

impl Answer<()> {
    /// 204: done, nothing to tell.
    #[must_use]
    pub fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, None)
    }
}

impl<T: DeserializeOwned> Answer<T> {
    /// The answer again that a success was made of.
    pub(crate) fn of(success: Success) -> Result<Self, Problem> {
        let Success {
            stored,
            consistency,
            mut headers,
            replayed,
            ..
        } = success;
        let data = stored.data.map(|data| serde_json::from_str(data.get()));
        if replayed {
            let replayed = HeaderName::from_static("idempotent-replayed");
            headers.push((replayed, HeaderValue::from_static("true")));
        }
        Ok(Self {
            status: StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK),
            data: data.transpose().map_err(Problem::internal)?,
            location: stored.location,
            etag: stored.etag,
            consistency,
            headers,
        })
    }
}

impl<T: Serialize> Answer<T> {
    /// As the inbox keeps it for a repeated request.
    pub(crate) fn stored(&self) -> Result<StoredSuccess, serde_json::Error> {
        Ok(StoredSuccess {
            status: self.status.as_u16(),
            location: self.location.clone(),
            etag: self.etag,
            data: self
                .data
                .as_ref()
                .map(serde_json::value::to_raw_value)
                .transpose()?,
        })
    }
}
