//! `/payments/webhook`: what the gateway tells by itself.

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRef, FromRequest, Request, State};
use serde::Serialize;
use serde_json::json;
use stanchion::runtime::clock;
use stanchion::server::{
    Answer, Anyone, Code, Describe, Description, IdempotencyRule, Priority, Problem, Routes, codes,
    op,
};
use utoipa::ToSchema;

use super::PaymentRoutes;
use crate::adapters::gateway::{Signature, WebhookSecret, told};
use crate::application::hear_gateway::hear;

/// The largest event that is taken.
const EVENT_BYTES_MAX: usize = 256 * 1024;

const HEADER: &str = "stripe-signature";

const INVALID_SIGNATURE: Code = Code::new(
    400,
    "INVALID_SIGNATURE",
    "The webhook is not signed by the gateway, or too long ago.",
);

pub(super) fn routes() -> Routes<PaymentRoutes> {
    let hear = op("Hear the gateway", hear_webhook)
        .about(
            "Called by the payment gateway. The body is an event of the gateway, signed in \
             `Stripe-Signature` (HMAC-SHA256, at most five minutes old). Events of unknown kinds \
             are received and have no effect.",
        )
        .body_bytes_max(EVENT_BYTES_MAX)
        // Money has moved already: it is learned of now or asked for again.
        .priority(Priority::Critical)
        .idempotency(IdempotencyRule::Ignored);
    Routes::new().post("/payments/webhook", hear)
}

/// The event arrived and is dealt with.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct WebhookReceived {
    received: bool,
}

/// A body whose signature was checked.
struct SignedEvent(Bytes);

impl<S> FromRequest<S> for SignedEvent
where
    S: Send + Sync,
    Option<WebhookSecret>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let header = request.headers().get(HEADER);
        let signature = header.and_then(|value| Signature::parse(value.to_str().ok()?));
        let secret = Option::<WebhookSecret>::from_ref(state);
        let (Some(signature), Some(secret)) = (signature, secret) else {
            return Err(INVALID_SIGNATURE.problem());
        };
        let body = to_bytes(request.into_body(), EVENT_BYTES_MAX).await;
        let body = body.map_err(|_| codes::PAYLOAD_TOO_LARGE.with("bytes_max", EVENT_BYTES_MAX))?;
        if secret.accepts(&signature, &body, clock::now()) {
            return Ok(Self(body));
        }
        Err(INVALID_SIGNATURE.problem())
    }
}

impl Describe for SignedEvent {
    fn describe(description: &mut Description) {
        let about = "When the event was sent, and its signature: `t=SECONDS,v1=HEX`.";
        let example = json!({"type": "string", "examples": ["t=1800000000,v1=5257a869"]});
        description.header("Stripe-Signature", true, about, example);
        // Open: what the gateway adds to its events is no mistake of a caller.
        let event = json!({
            "type": "object",
            "description": "An event of the gateway.",
            "properties": {
                "id": {"type": "string", "examples": ["evt_1"]},
                "type": {"type": "string", "examples": ["payment_intent.succeeded"]},
                "data": {"type": "object"},
            },
        });
        description.body("application/json", &event);
        description.code(INVALID_SIGNATURE);
        description.code(codes::PAYLOAD_TOO_LARGE);
    }
}

async fn hear_webhook(
    _: Anyone,
    State(state): State<PaymentRoutes>,
    SignedEvent(body): SignedEvent,
) -> Result<Answer<WebhookReceived>, Problem> {
    for told in told(&body) {
        let heard = hear(&state.payments, &told).await;
        heard.map_err(Problem::unavailable)?;
    }
    Ok(Answer::ok(WebhookReceived { received: true }))
}
