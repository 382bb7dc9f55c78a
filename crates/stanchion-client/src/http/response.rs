use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AsHeaderName, DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use stanchion_resilience::Moment;
use stanchion_resilience::deadline::Deadline;
use stanchion_resilience::retry::{Stopped, http_date};

use crate::line::{Arriving, Streaming};
use crate::{ClientError, Reason};

/// An answer, read whole. It prints without headers and body: they may be secret.
#[derive(Clone)]
pub struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An answer whose body is read piece by piece, until its deadline. Dropped, it is cancelled.
pub struct Streamed {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Arriving,
    pub(crate) until: Deadline,
    pub(crate) dependency: String,
    pub(crate) host: Option<SocketAddr>,
    pub(crate) _place: Streaming,
}

impl Response {
    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A header as text; `None` if there is none, or it is no visible text.
    #[must_use]
    pub fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Its body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Its body as text, what is no UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Its body, read as JSON.
    ///
    /// # Errors
    /// It is none, or another one.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// The wait that it asks for: in whole seconds, or until a date. That is counted from the answer's own `Date`, so that
    /// no two clocks have to agree; without one it is not read.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let asked = self.header(RETRY_AFTER)?;
        if let Ok(seconds) = asked.trim().parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = http_date(asked)?;
        Some(until.duration_since(self.date()?).unwrap_or_default())
    }

    /// When it was made, by the clock of whoever made it.
    pub(super) fn date(&self) -> Option<SystemTime> {
        self.header(DATE).and_then(http_date)
    }
}

impl Streamed {
    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The next piece; `None` at the end. How much is read in all is the caller's to bound.
    ///
    /// # Errors
    /// The deadline has come, or the connection broke. There is no piece after that.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        if self.body.is_end_stream() {
            return Ok(None);
        }
        let late = Err(Reason::TimedOut(Duration::ZERO));
        let next = match self.until.moment() {
            None => self.piece().await,
            // Before it is looked whether there is a piece: those that never pause must not outlive it.
            Some(end) if Moment::now() >= end => late,
            Some(end) => {
                let next = tokio::time::timeout_at(end.instant(), self.piece()).await;
                next.unwrap_or(late)
            }
        };
        next.map_err(|reason| {
            ClientError::new(&self.dependency, self.host, reason, 1, Stopped::Final)
        })
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Reason> {
        while let Some(frame) = self.body.frame().await {
            let data = frame.map(http_body::Frame::into_data);
            match data {
                Ok(Ok(data)) => return Ok(Some(data)),
                Ok(Err(_trailers)) => {}
                Err(error) => return Err(Reason::Broken(error.to_string())),
            }
        }
        Ok(None)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status.as_u16())
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed")
            .field("status", &self.status.as_u16())
            .finish_non_exhaustive()
    }
}
