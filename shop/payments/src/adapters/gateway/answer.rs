//! What the gateway's objects mean to us.

use serde::Deserialize;
use shop_kernel::PaymentId;
use uuid::Uuid;

use crate::application::ports::{GatewayError, IntentAnswer, RefundAnswer};
use crate::domain::payment::RefundId;

/// A payment intent, as far as we look.
#[derive(Debug, Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    status: String,
    last_payment_error: Option<LastError>,
    #[serde(default)]
    metadata: Metadata,
}

/// A refund, as far as we look.
#[derive(Debug, Deserialize)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) payment_intent: Option<String>,
    status: Option<String>,
    failure_reason: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

/// What we told the gateway about an object, told back.
#[derive(Debug, Default, Deserialize)]
struct Metadata {
    payment_id: Option<String>,
    refund_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct LastError {
    code: Option<String>,
}

impl Intent {
    pub(super) fn read(body: &[u8]) -> Result<Self, GatewayError> {
        serde_json::from_slice(body).map_err(incomprehensible)
    }

    /// Whether the gateway itself does not know yet.
    pub(super) fn is_unsettled(&self) -> bool {
        self.status == "processing"
    }

    /// How it is.
    pub(super) fn answer(&self) -> Result<IntentAnswer, GatewayError> {
        let intent = self.id.clone();
        match self.status.as_str() {
            "requires_capture" => Ok(IntentAnswer::Authorized { intent }),
            "succeeded" => Ok(IntentAnswer::Captured { intent }),
            "canceled" => Ok(IntentAnswer::Voided),
            // Nobody is there to answer a bank's question: that is a decline.
            "requires_action" => Ok(IntentAnswer::Declined {
                code: "authentication_required".into(),
            }),
            "requires_payment_method" => Ok(IntentAnswer::Declined {
                code: self.error_code().unwrap_or("card_declined").to_owned(),
            }),
            other => Err(GatewayError::Unknown(format!("the intent is {other}"))),
        }
    }

    /// Why the last attempt to charge failed, if it did.
    pub(super) fn error_code(&self) -> Option<&str> {
        self.last_payment_error.as_ref()?.code.as_deref()
    }

    /// Which payment of ours it is for, if it is for one.
    pub(super) fn payment_id(&self) -> Option<PaymentId> {
        self.metadata.payment_id.as_deref()?.parse().ok()
    }
}

impl Refund {
    pub(super) fn read(body: &[u8]) -> Result<Self, GatewayError> {
        serde_json::from_slice(body).map_err(incomprehensible)
    }

    /// How it is.
    pub(super) fn answer(&self) -> RefundAnswer {
        match self.status.as_deref() {
            Some("succeeded") => RefundAnswer::Succeeded,
            Some("failed" | "canceled") => RefundAnswer::Failed {
                code: self.failure_reason.clone().unwrap_or("failed".into()),
            },
            _ => RefundAnswer::Pending,
        }
    }

    /// Which payment and refund of ours it is, if it is one.
    pub(super) fn ids(&self) -> Option<(PaymentId, RefundId)> {
        let payment_id = self.metadata.payment_id.as_deref()?.parse().ok()?;
        let refund_id = Uuid::parse_str(self.metadata.refund_id.as_deref()?).ok()?;
        Some((payment_id, RefundId(refund_id)))
    }
}

fn incomprehensible(error: serde_json::Error) -> GatewayError {
    GatewayError::Unknown(format!("its answer is not understood: {error}"))
}
