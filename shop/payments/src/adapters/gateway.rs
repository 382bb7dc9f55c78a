//! The gateway over HTTP, in the Stripe PaymentIntents wire format, behind a policy.
//!
//! Every order to it has an idempotency key, so the policy may send it again; what is still unknown then is asked again
//! by the consumer, later and under the same key.

mod answer;
mod call;
mod metrics;
mod settings;
mod signature;
mod webhook;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use shop_kernel::Money;
use stanchion::client::SetupError;
use stanchion::resilience::policy::Policy;
use stanchion::telemetry::Metrics;
use uuid::Uuid;

use crate::application::ports::{
    Authorization, Gateway, GatewayError, GiveBack, IntentAnswer, RefundAnswer,
};
use answer::{Intent, Refund};
use call::{Answered, Call, Calls};
pub(crate) use settings::GatewaySettings;
pub use settings::InvalidGatewayUrl;
pub(crate) use signature::{Signature, WebhookSecret};
pub(crate) use webhook::told;

/// A gateway that speaks the Stripe PaymentIntents wire format.
pub(crate) struct StripeGateway {
    calls: Calls,
}

impl StripeGateway {
    /// A client of the gateway at that URL. Makes no connection yet.
    ///
    /// # Errors
    /// What its client cannot use, such as a file of certificates.
    pub(crate) fn new(settings: &GatewaySettings, metrics: &Metrics) -> Result<Self, SetupError> {
        let calls = Calls::new(settings, metrics)?;
        Ok(Self { calls })
    }

    /// What guards the calls to it.
    pub(crate) fn policy(&self) -> &Policy {
        self.calls.client.policy()
    }

    /// Whether it answers and takes our key.
    pub(crate) async fn check(&self) -> Result<(), GatewayError> {
        let nothing = Call::get("check", "/v1/payment_intents/pi_check".into());
        self.calls.send(nothing).await.map(drop)
    }

    async fn intent(&self, id: &str) -> Result<Intent, GatewayError> {
        match self
            .calls
            .send(Call::get("look_up", intent_path(id)?))
            .await?
        {
            Answered::Success(answer) => Intent::read(answer.body()),
            Answered::Refused { code, .. } => Err(GatewayError::Unusable(code)),
        }
    }

    /// The state behind a refusal that says the intent is not in the state we thought.
    async fn looked_up_instead(
        &self,
        id: &str,
        still_authorized: impl FnOnce() -> Result<IntentAnswer, GatewayError>,
    ) -> Result<IntentAnswer, GatewayError> {
        match self.intent(id).await?.answer()? {
            IntentAnswer::Authorized { .. } => still_authorized(),
            other => Ok(other),
        }
    }
}

#[async_trait]
impl Gateway for StripeGateway {
    async fn authorize(
        &self,
        key: Uuid,
        wanted: &Authorization,
    ) -> Result<IntentAnswer, GatewayError> {
        let call = Call::post("authorize", "/v1/payment_intents".into(), key)
            .field("amount", wanted.amount.amount)
            .field("currency", wanted.amount.currency.as_str().to_lowercase())
            .field("payment_method", &wanted.payment_method)
            .field("payment_method_types[]", "card")
            .field("capture_method", "manual")
            .field("confirm", true)
            .field("metadata[payment_id]", wanted.payment_id)
            .field("metadata[order_id]", wanted.order_id);
        match self.calls.send(call).await? {
            Answered::Success(answer) => {
                let intent = Intent::read(answer.body())?;
                if intent.is_unsettled() {
                    return self.look_up(&intent.id).await;
                }
                intent.answer()
            }
            Answered::Refused { code, .. } => Ok(IntentAnswer::Declined { code }),
        }
    }

    async fn capture(
        &self,
        key: Uuid,
        intent: &str,
        amount: Money,
    ) -> Result<IntentAnswer, GatewayError> {
        let call = Call::post("capture", format!("{}/capture", intent_path(intent)?), key)
            .field("amount_to_capture", amount.amount);
        match self.calls.send(call).await? {
            Answered::Success(answer) => Intent::read(answer.body())?.answer(),
            Answered::Refused { code, card: true } => Ok(IntentAnswer::CaptureFailed { code }),
            Answered::Refused { code, .. } => {
                self.looked_up_instead(intent, || Ok(IntentAnswer::CaptureFailed { code }))
                    .await
            }
        }
    }

    async fn void(&self, key: Uuid, intent: &str) -> Result<IntentAnswer, GatewayError> {
        let call = Call::post("void", format!("{}/cancel", intent_path(intent)?), key);
        match self.calls.send(call).await? {
            Answered::Success(answer) => Intent::read(answer.body())?.answer(),
            Answered::Refused { code, .. } => {
                self.looked_up_instead(intent, || Err(GatewayError::Unusable(code)))
                    .await
            }
        }
    }

    async fn refund(&self, key: Uuid, wanted: &GiveBack) -> Result<RefundAnswer, GatewayError> {
        let call = Call::post("refund", "/v1/refunds".into(), key)
            .field("payment_intent", &wanted.intent)
            .field("amount", wanted.amount.amount)
            .field("metadata[payment_id]", wanted.payment_id)
            .field("metadata[refund_id]", wanted.refund_id);
        let refund = match self.calls.send(call).await? {
            Answered::Success(answer) => Refund::read(answer.body())?,
            Answered::Refused { code, .. } => return Ok(RefundAnswer::Failed { code }),
        };
        // The answer under a key never changes; how a pending refund went on must be asked for.
        if refund.answer() != RefundAnswer::Pending {
            return Ok(refund.answer());
        }
        let path = format!("/v1/refunds/{}", safe_id(&refund.id)?);
        match self.calls.send(Call::get("look_up_refund", path)).await? {
            Answered::Success(answer) => Ok(Refund::read(answer.body())?.answer()),
            Answered::Refused { code, .. } => Err(GatewayError::Unusable(code)),
        }
    }

    async fn look_up(&self, intent: &str) -> Result<IntentAnswer, GatewayError> {
        let intent = self.intent(intent).await?;
        if intent.is_unsettled() {
            return Err(GatewayError::Unknown(
                "the intent is being processed".into(),
            ));
        }
        intent.answer()
    }
}

fn intent_path(id: &str) -> Result<String, GatewayError> {
    Ok(format!("/v1/payment_intents/{}", safe_id(id)?))
}

/// Ids come from outside and go into paths.
fn safe_id(id: &str) -> Result<&str, GatewayError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !id.is_empty() && id.len() <= 255 && id.bytes().all(is_plain) {
        return Ok(id);
    }
    Err(GatewayError::Unusable(
        "it gave out an id that is none".into(),
    ))
}
