//! One call: sent with its limits, answered with a success, a refusal, or nothing certain.

use std::time::Duration;

use reqwest::{Client, Method, Response, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use stanchion::telemetry::{Metrics, trace};
use tracing::{Instrument, info_span};
use uuid::Uuid;

use super::GatewaySettings;
use super::metrics::CallMetrics;
use crate::application::ports::GatewayError;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a call may take, from connecting to the last byte of the answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// The longest code that is taken over from an answer.
const CODE_CHARS_MAX: usize = 64;

/// What is to be asked.
pub(super) struct Call {
    name: &'static str,
    method: Method,
    path: String,
    key: Option<Uuid>,
    fields: Vec<(&'static str, String)>,
}

/// A certain answer.
pub(super) enum Answered {
    /// It was done.
    Success(Vec<u8>),
    /// It was not done, and asking again would not change that.
    Refused {
        /// Why, such as `card_declined`.
        code: String,
        /// Whether the card's bank said so.
        card: bool,
    },
}

/// The gateway's end of the line.
pub(super) struct Calls {
    client: Client,
    base: String,
    key: SecretString,
    metrics: CallMetrics,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorFields,
}

#[derive(Deserialize)]
struct ErrorFields {
    #[serde(rename = "type")]
    kind: String,
    code: Option<String>,
}

impl Call {
    pub(super) fn new(name: &'static str, method: Method, path: String, key: Option<Uuid>) -> Self {
        Self {
            name,
            method,
            path,
            key,
            fields: Vec::new(),
        }
    }

    /// Adds a form field.
    pub(super) fn field(mut self, name: &'static str, value: impl ToString) -> Self {
        self.fields.push((name, value.to_string()));
        self
    }
}

impl Calls {
    pub(super) fn new(settings: &GatewaySettings, metrics: &Metrics) -> Self {
        stanchion::telemetry::install_crypto();
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()
            .expect("the TLS provider is installed and nothing else is asked of the client");
        Self {
            client,
            base: settings.base.clone(),
            key: settings.key.clone(),
            metrics: CallMetrics::new(metrics),
        }
    }

    /// Sends a call. Whatever leaves its outcome open is [`GatewayError::Unknown`].
    pub(super) async fn send(&self, call: Call) -> Result<Answered, GatewayError> {
        let span = info_span!("gateway.call", otel.kind = "client", call = call.name);
        let running = self.metrics.start(call.name);
        let answer = self.send_within(call).instrument(span).await;
        running.end(&answer);
        answer
    }

    async fn send_within(&self, call: Call) -> Result<Answered, GatewayError> {
        let mut request = self
            .client
            .request(call.method.clone(), format!("{}{}", self.base, call.path))
            .bearer_auth(self.key.expose_secret());
        if let Some(key) = call.key {
            request = request.header("Idempotency-Key", key.to_string());
        }
        if call.method == Method::POST {
            request = request.form(&call.fields);
        }
        let mut request = request.build().map_err(unknown)?;
        trace::inject(request.headers_mut());
        let response = self.client.execute(request).await.map_err(unknown)?;
        let status = response.status();
        let body = read(response).await?;
        understand(status, body)
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, GatewayError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unknown)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            let reason = format!("it answered with more than {ANSWER_BYTES_MAX} bytes");
            return Err(GatewayError::Unknown(reason));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn understand(status: StatusCode, body: Vec<u8>) -> Result<Answered, GatewayError> {
    if status.is_success() {
        return Ok(Answered::Success(body));
    }
    let error = serde_json::from_slice::<ErrorBody>(&body).ok();
    let kind = error.as_ref().map_or("", |body| body.error.kind.as_str());
    let code = error.as_ref().and_then(|body| body.error.code.as_deref());
    let code: String = code.unwrap_or(kind).chars().take(CODE_CHARS_MAX).collect();
    let said = format!("it answered {} {code}", status.as_u16());
    match status.as_u16() {
        402 => Ok(Answered::Refused { code, card: true }),
        400 | 404 if kind == "invalid_request_error" => Ok(Answered::Refused { code, card: false }),
        // In flight under the same key, too many calls, or broken: later it will know.
        408 | 409 | 425 | 429 | 500.. => Err(GatewayError::Unknown(said)),
        _ => Err(GatewayError::Unusable(said)),
    }
}

/// The URL in reqwest's message tells nothing that the trace does not, so it is left out.
fn unknown(error: reqwest::Error) -> GatewayError {
    let error = error.without_url();
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
    GatewayError::Unknown(format!("{error}{}", cause.unwrap_or_default()))
}
