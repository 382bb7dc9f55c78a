//! Errors in Stripe's form.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

/// An error answer: status and the fields of `error`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GatewayError {
    pub(crate) status: u16,
    fields: Map<String, Value>,
}

impl GatewayError {
    fn new(status: u16, kind: &str, message: impl Into<String>) -> Self {
        let mut fields = Map::new();
        fields.insert("type".into(), kind.into());
        fields.insert("message".into(), message.into().into());
        Self { status, fields }
    }

    /// 400: the request makes no sense.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    /// 400: a parameter is missing.
    pub(crate) fn missing(param: &str) -> Self {
        Self::invalid(format!("Missing required param: {param}."))
            .code("parameter_missing")
            .param(param)
    }

    /// 400: a parameter nobody knows.
    pub(crate) fn unknown(param: &str) -> Self {
        Self::invalid(format!("Received unknown parameter: {param}"))
            .code("parameter_unknown")
            .param(param)
    }

    /// 404: no such object.
    pub(crate) fn no_such(what: &str, id: &str, param: &str) -> Self {
        Self::new(
            404,
            "invalid_request_error",
            format!("No such {what}: '{id}'"),
        )
        .code("resource_missing")
        .param(param)
    }

    /// 401: no key, or the wrong one.
    pub(crate) fn unauthenticated() -> Self {
        let message = "Invalid API Key provided: send `Authorization: Bearer KEY`.";
        Self::new(401, "invalid_request_error", message)
    }

    /// 402: the card's bank says no.
    pub(crate) fn card(code: &str, decline_code: Option<&str>) -> Self {
        let error = Self::new(402, "card_error", "Your card was declined.").code(code);
        match decline_code {
            Some(decline) => error.with("decline_code", decline.into()),
            None => error,
        }
    }

    /// 400: the same key with other parameters.
    pub(crate) fn key_reused() -> Self {
        let message = "Keys for idempotent requests can only be used with the same parameters they were first used with.";
        Self::new(400, "idempotency_error", message)
    }

    /// 409: the same key, right now.
    pub(crate) fn key_in_use() -> Self {
        let message = "There is currently another in-progress request using this Idempotency Key.";
        Self::new(409, "invalid_request_error", message).code("idempotency_key_in_use")
    }

    /// 500: something is wrong here.
    pub(crate) fn api(message: &str) -> Self {
        Self::new(500, "api_error", message)
    }

    pub(crate) fn code(self, code: &str) -> Self {
        self.with("code", code.into())
    }

    pub(crate) fn param(self, param: &str) -> Self {
        self.with("param", param.into())
    }

    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.fields.insert(name.into(), value);
        self
    }

    pub(crate) fn body(&self) -> Value {
        json!({ "error": self.fields })
    }
}

impl From<stanchion::sql::SqlError> for GatewayError {
    fn from(error: stanchion::sql::SqlError) -> Self {
        tracing::error!(%error, "the sandbox's database failed");
        Self::api("The sandbox cannot keep its state at the moment.")
    }
}

impl IntoResponse for GatewayError {
    fn into_response(self) -> Response {
        json_response(self.status, &self.body())
    }
}

/// An answer with a JSON body.
pub(crate) fn json_response(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], body.to_string()).into_response()
}
