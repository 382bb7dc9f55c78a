//! One call: sent with its limits, answered with a success, a refusal, or nothing certain.

use secrecy::SecretString;
use serde::Deserialize;
use stanchion::client::{ClientError, HttpClient, Reason, Response, SetupError};
use stanchion::telemetry::Metrics;
use tracing::{Instrument, info_span};
use uuid::Uuid;

use super::GatewaySettings;
use super::metrics::CallMetrics;
use crate::application::ports::GatewayError;

/// The longest code that is taken over from an answer.
const CODE_CHARS_MAX: usize = 64;

/// What is to be asked.
pub(super) struct Call {
    name: &'static str,
    path: String,
    /// What makes it an order instead of a question: its key, and its fields.
    order: Option<Order>,
}

struct Order {
    key: Uuid,
    fields: Vec<(&'static str, String)>,
}

/// A certain answer.
pub(super) enum Answered {
    /// It was done.
    Success(Response),
    /// It was not done, and asking again would not change that.
    Refused {
        /// Why, such as `card_declined`.
        code: String,
        /// Whether the card's bank said so.
        card: bool,
    },
}

/// The gateway's end of the line, with its policy.
pub(super) struct Calls {
    pub(super) client: HttpClient,
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
    /// Asks; it may be repeated.
    pub(super) fn get(name: &'static str, path: String) -> Self {
        let order = None;
        Self { name, path, order }
    }

    /// Orders under a key, by which the gateway knows a repeat: that makes it safe to send it again.
    pub(super) fn post(name: &'static str, path: String, key: Uuid) -> Self {
        let fields = Vec::new();
        let order = Some(Order { key, fields });
        Self { name, path, order }
    }

    /// Adds a form field to an order.
    pub(super) fn field(mut self, name: &'static str, value: impl ToString) -> Self {
        if let Some(order) = &mut self.order {
            order.fields.push((name, value.to_string()));
        }
        self
    }
}

impl Calls {
    pub(super) fn new(settings: &GatewaySettings, metrics: &Metrics) -> Result<Self, SetupError> {
        let client = HttpClient::new("gateway", &settings.base, &settings.client, metrics)?;
        Ok(Self {
            client,
            key: settings.key.clone(),
            metrics: CallMetrics::new(metrics),
        })
    }

    /// Sends a call. Whatever leaves its outcome open is [`GatewayError::Unknown`].
    pub(super) async fn send(&self, call: Call) -> Result<Answered, GatewayError> {
        let span = info_span!("gateway.call", call = call.name);
        let running = self.metrics.start(call.name);
        let answer = self.send_within(call).instrument(span).await;
        running.end(&answer);
        answer
    }

    async fn send_within(&self, call: Call) -> Result<Answered, GatewayError> {
        let request = match &call.order {
            None => self.client.get(&call.path),
            Some(Order { key, fields }) => {
                let request = self.client.post(&call.path).form(fields);
                request.idempotency_key(key)
            }
        };
        match request.bearer(&self.key).send().await {
            Ok(answer) if answer.status().is_success() => Ok(Answered::Success(answer)),
            Ok(answer) => Err(GatewayError::Unusable(said(&answer, ""))),
            Err(error) => refused(error),
        }
    }
}

fn refused(error: ClientError) -> Result<Answered, GatewayError> {
    let Reason::Status(answer) = error.reason() else {
        return Err(GatewayError::Unknown(error.to_string()));
    };
    let body = answer.json::<ErrorBody>().ok();
    let kind = body.as_ref().map_or("", |body| body.error.kind.as_str());
    let code = body.as_ref().and_then(|body| body.error.code.as_deref());
    let code: String = code.unwrap_or(kind).chars().take(CODE_CHARS_MAX).collect();
    let said = said(answer, &code);
    match answer.status().as_u16() {
        402 => Ok(Answered::Refused { code, card: true }),
        400 | 404 if kind == "invalid_request_error" => Ok(Answered::Refused { code, card: false }),
        // In flight under the same key, too many calls, or broken: later it will know.
        408 | 409 | 425 | 429 | 500.. => Err(GatewayError::Unknown(said)),
        _ => Err(GatewayError::Unusable(said)),
    }
}

fn said(answer: &Response, code: &str) -> String {
    format!("it answered {} {code}", answer.status().as_u16())
}
