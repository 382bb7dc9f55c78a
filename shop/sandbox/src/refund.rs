//! Refunds: what they are and what can be done to them, without I/O.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::GatewayError;
use crate::form::Metadata;
use crate::intent::{Intent, Status as IntentStatus, new_id};
use crate::method::{Behaviour, behaviour};

/// How long a late refund is pending, in seconds.
const PENDING_SECONDS: i64 = 2;

/// A refund as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) intent: String,
    charge: Option<String>,
    pub(crate) amount: i64,
    currency: String,
    pub(crate) status: Status,
    metadata: Metadata,
    created: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Pending,
    Succeeded,
    Failed,
}

impl Refund {
    /// Gives back `amount` of what `intent` received, or all that is left of it.
    pub(crate) fn create(
        intent: &mut Intent,
        amount: Option<i64>,
        metadata: Metadata,
        created: i64,
    ) -> Result<Self, GatewayError> {
        if intent.status != IntentStatus::Succeeded {
            let message = "This PaymentIntent does not have a successful charge to refund.";
            return Err(GatewayError::invalid(message).param("payment_intent"));
        }
        let left = intent.received - intent.refunded;
        let amount = amount.unwrap_or(left.max(1));
        if left == 0 {
            let error = GatewayError::invalid("The charge has already been refunded.");
            return Err(error.code("charge_already_refunded"));
        }
        if !(1..=left).contains(&amount) {
            let message =
                format!("Refund amount ({amount}) is not from 1 to what is unrefunded ({left}).");
            return Err(GatewayError::invalid(message).param("amount"));
        }
        let status = match behaviour(&intent.payment_method) {
            Ok(Behaviour::RefundsLate) => Status::Pending,
            Ok(Behaviour::RefundsFail) => Status::Failed,
            _ => Status::Succeeded,
        };
        if status != Status::Failed {
            intent.refunded += amount;
        }
        Ok(Self {
            id: new_id("re"),
            intent: intent.id.clone(),
            charge: intent.charge.clone(),
            amount,
            currency: intent.currency.clone(),
            status,
            metadata,
            created,
        })
    }

    /// Whether it was pending long enough.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        self.status == Status::Pending && now >= self.created + PENDING_SECONDS
    }

    /// As it goes over the wire.
    pub(crate) fn view(&self) -> Value {
        let failure = (self.status == Status::Failed).then_some("lost_or_stolen_card");
        json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "failure_reason": failure,
            "metadata": self.metadata,
            "payment_intent": self.intent,
            "status": self.status,
        })
    }

    /// The event that tells of it, if there is something to tell.
    pub(crate) fn event(&self, intent: &Intent) -> Option<(&'static str, Value)> {
        match self.status {
            Status::Pending => None,
            Status::Succeeded => Some(("charge.refunded", self.charge(intent))),
            Status::Failed => Some(("refund.failed", self.view())),
        }
    }

    /// The charge, with this refund as the one it is about.
    fn charge(&self, intent: &Intent) -> Value {
        json!({
            "id": intent.charge,
            "object": "charge",
            "amount": intent.amount,
            "amount_captured": intent.received,
            "amount_refunded": intent.refunded,
            "captured": true,
            "currency": intent.currency,
            "metadata": intent.metadata,
            "payment_intent": intent.id,
            "refunded": intent.refunded == intent.received,
            "refunds": {"object": "list", "has_more": false, "data": [self.view()]},
        })
    }
}
