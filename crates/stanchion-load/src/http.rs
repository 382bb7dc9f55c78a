//! HTTP/1.1 with keep-alive: one connection, one request after the other.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stanchion_runtime::task;
use tokio::net::TcpStream;

use crate::scenario::Failure;
use crate::target::Target;

/// An answer with a longer body is a failure: a load generator must not become the memory's.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// A request that found its kept connection closed by the server is sent once more on a new one.
const TRIES_MAX: u32 = 2;

/// What is sent; cheap to clone, to be made once and sent often.
#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// What was answered, read to the end.
#[derive(Debug)]
pub struct Response {
    parts: http::response::Parts,
    body: Bytes,
}

/// A kept connection to the target.
pub struct Connection {
    target: Arc<Target>,
    sender: Option<SendRequest<Full<Bytes>>>,
    opened: u64,
}

impl Request {
    /// `GET path`, which begins with `/`.
    ///
    /// # Panics
    /// When `path` has another form: a mistake in the program.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    /// `POST path` without a body.
    ///
    /// # Panics
    /// As [`get`](Self::get).
    #[must_use]
    pub fn post(path: &str) -> Self {
        Self::new(Method::POST, path)
    }

    /// Any method.
    ///
    /// # Panics
    /// As [`get`](Self::get).
    #[must_use]
    pub fn new(method: Method, path: &str) -> Self {
        let path: PathAndQuery = path
            .parse()
            .unwrap_or_else(|error| panic!("`{path}` is no path: {error}"));
        Self {
            method,
            uri: Uri::from(path),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// Adds or replaces a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// `Authorization: value`.
    ///
    /// # Panics
    /// When `value` holds what no header may, such as a line break.
    #[must_use]
    pub fn authorization(self, value: &str) -> Self {
        let value = HeaderValue::from_str(value);
        self.header(
            AUTHORIZATION,
            value.expect("a header's value is visible text"),
        )
    }

    /// A body of that type.
    #[must_use]
    pub fn body(self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut request = self.header(CONTENT_TYPE, HeaderValue::from_static(content_type));
        request.body = body.into();
        request
    }

    /// A form's body, percent-encoded already.
    #[must_use]
    pub fn form(self, body: impl Into<Bytes>) -> Self {
        self.body("application/x-www-form-urlencoded", body)
    }

    /// A JSON body.
    ///
    /// # Panics
    /// When `body` cannot be JSON, such as a map without text as keys.
    #[must_use]
    pub fn json(self, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("the value can be JSON");
        self.body("application/json", body)
    }

    fn to_http(&self, host: &HeaderValue) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(HOST, host.clone());
        request
    }
}

impl Response {
    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.parts.status
    }

    /// A header's value, if it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// All headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Its body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Its body as JSON.
    ///
    /// # Errors
    /// When it is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|_| Failure::Unexpected("another body"))
    }

    /// Itself if it has that status.
    ///
    /// # Errors
    /// [`Failure::Status`] if it has another.
    pub fn expect(self, status: u16) -> Result<Self, Failure> {
        match self.parts.status.as_u16() {
            seen if seen == status => Ok(self),
            other => Err(Failure::Status(other)),
        }
    }
}

impl Connection {
    /// To `target`; connected on first use.
    #[must_use]
    pub fn new(target: Arc<Target>) -> Self {
        Self {
            target,
            sender: None,
            opened: 0,
        }
    }

    /// Sends it and reads the whole answer.
    ///
    /// A kept connection that the server has closed meanwhile, before it took the request, is replaced once in silence,
    /// as every client does. Nothing else is repeated.
    ///
    /// # Errors
    /// [`Failure::Transport`]. The next call connects again.
    pub async fn send(&mut self, request: &Request) -> Result<Response, Failure> {
        for tries in 1..=TRIES_MAX {
            let host = self.target.host().clone();
            let sender = self.ready().await?;
            let (parts, body) = match sender.try_send_request(request.to_http(&host)).await {
                Ok(response) => response.into_parts(),
                Err(mut refused) => {
                    self.sender = None;
                    // Given back means that not a byte was sent.
                    if refused.take_message().is_some() && tries < TRIES_MAX {
                        continue;
                    }
                    return Err(transport(&refused.into_error()));
                }
            };
            let read = Limited::new(body, BODY_BYTES_MAX).collect().await;
            let body = read.map_err(|error| {
                self.sender = None;
                Failure::Transport(error.to_string())
            })?;
            let body = body.to_bytes();
            return Ok(Response { parts, body });
        }
        Err(Failure::Transport("closed before it was used".into()))
    }

    /// Connects unless it is connected.
    ///
    /// # Errors
    /// [`Failure::Transport`].
    pub async fn connect(&mut self) -> Result<(), Failure> {
        self.ready().await.map(drop)
    }

    /// Cuts it: what is under way is lost.
    pub fn close(&mut self) {
        self.sender = None;
    }

    /// How often it was connected.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened
    }

    async fn ready(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Failure> {
        let mut kept = self.sender.take();
        if let Some(sender) = &mut kept
            && sender.ready().await.is_err()
        {
            kept = None;
        }
        let sender = match kept {
            Some(sender) => sender,
            None => self.open().await?,
        };
        Ok(self.sender.insert(sender))
    }

    async fn open(&mut self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let failed = |error: std::io::Error| Failure::Transport(error.kind().to_string());
        let stream = TcpStream::connect(self.target.address()).await;
        let stream = stream.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| transport(&error))?;
        // Its end is seen by the sender; it ends with the sender.
        let _running = task::spawn("load-connection", connection);
        self.opened += 1;
        Ok(sender)
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("target", &self.target)
            .field("opened", &self.opened)
            .finish_non_exhaustive()
    }
}

/// The innermost cause: a bounded set of texts, without addresses.
fn transport(error: &hyper::Error) -> Failure {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Failure::Transport(cause.to_string())
}
