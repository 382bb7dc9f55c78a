//! HTTP: REST and the like.

mod call;
mod response;
mod sending;

use std::sync::Arc;

use http::Method;
use stanchion_resilience::policy::Policy;
use stanchion_telemetry::Metrics;

pub use call::Call;
pub use response::{Response, Streamed};

use crate::line::{Line, Protocol};
use crate::{ClientSettings, Discovery, SetupError};

/// A client of one dependency over HTTP/1.1 and HTTP/2; clones share everything.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use stanchion_client::{ClientSettings, HttpClient};
/// use stanchion_telemetry::Metrics;
///
/// let settings = ClientSettings::default();
/// let bank = HttpClient::new("bank", "https://bank.example/v1", &settings, &Metrics::default())?;
///
/// let rates = bank.get("/rates").send().await?;
/// let paid = bank
///     .post("/payments")
///     .idempotency_key("order-7")
///     .json(&serde_json::json!({ "amount": 1250 }))
///     .send()
///     .await?;
/// println!("{} {}", rates.status(), paid.text());
/// # Ok(()) }
/// ```
///
/// Without TLS it speaks HTTP/1.1; with TLS what both sides prefer. Redirects are answers like others, cookies are
/// nobody's, and bodies are not decompressed: no encoding is asked for.
#[derive(Clone)]
pub struct HttpClient {
    pub(crate) line: Arc<Line>,
}

impl HttpClient {
    /// A client of the dependency `name` at `url`. Makes no connection yet.
    ///
    /// The name becomes a label, so it comes from the program, never from a request.
    ///
    /// # Errors
    /// [`SetupError`]: the URL, an address, or a certificate cannot be used.
    pub fn new(
        name: &str,
        url: &str,
        settings: &ClientSettings,
        metrics: &Metrics,
    ) -> Result<Self, SetupError> {
        Self::over(name, url, None, settings, metrics)
    }

    /// The same with hosts from elsewhere than the URL; its host is still what TLS and `Host` name.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_discovery(
        name: &str,
        url: &str,
        discovery: Discovery,
        settings: &ClientSettings,
        metrics: &Metrics,
    ) -> Result<Self, SetupError> {
        Self::over(name, url, Some(discovery), settings, metrics)
    }

    fn over(
        name: &str,
        url: &str,
        discovery: Option<Discovery>,
        settings: &ClientSettings,
        metrics: &Metrics,
    ) -> Result<Self, SetupError> {
        let line = Line::new(name, url, Protocol::Agreed, settings, metrics, discovery)?;
        Ok(Self { line })
    }

    /// The policy around its calls, for an operator.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.line.policy
    }

    /// The dependency's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.line.name
    }

    /// A read.
    pub fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    /// A call that is sent once, unless it has an [idempotency key](Call::idempotency_key).
    pub fn post(&self, path: &str) -> Call<'_> {
        self.call(Method::POST, path)
    }

    /// A call that may be repeated.
    pub fn put(&self, path: &str) -> Call<'_> {
        self.call(Method::PUT, path)
    }

    /// A call that is sent once, unless it has an idempotency key.
    pub fn patch(&self, path: &str) -> Call<'_> {
        self.call(Method::PATCH, path)
    }

    /// A call that may be repeated.
    pub fn delete(&self, path: &str) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    /// Any method; `path` begins with a slash, is below the URL's own, and may have a query.
    pub fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call::new(self, method, path)
    }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HttpClient").field(&self.line.name).finish()
    }
}
