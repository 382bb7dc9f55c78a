//! Payment intents: what they are and what can be done to them, without I/O.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::GatewayError;
use crate::form::{Form, Metadata};
use crate::method::{Behaviour, behaviour};

/// The largest amount, in minor units.
const AMOUNT_MAX: i64 = 999_999_999_999;

/// A payment intent as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) charge: Option<String>,
    pub(crate) amount: i64,
    pub(crate) received: i64,
    pub(crate) refunded: i64,
    pub(crate) currency: String,
    pub(crate) status: Status,
    pub(crate) capture_method: String,
    pub(crate) payment_method: String,
    pub(crate) metadata: Metadata,
    pub(crate) last_error: Option<Value>,
    pub(crate) canceled_at: Option<i64>,
    pub(crate) created: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    RequiresPaymentMethod,
    RequiresCapture,
    Succeeded,
    Canceled,
}

/// What became of an intent, and what is answered.
pub(crate) struct Changed {
    pub(crate) intent: Intent,
    pub(crate) refused: Option<GatewayError>,
    pub(crate) event: &'static str,
}

impl Intent {
    /// Makes and confirms an intent.
    pub(crate) fn create(form: &mut Form, created: i64) -> Result<Changed, GatewayError> {
        let amount = form.amount("amount")?;
        let amount = amount.ok_or_else(|| GatewayError::missing("amount"))?;
        if !(1..=AMOUNT_MAX).contains(&amount) {
            let code = if amount < 1 {
                "parameter_invalid_integer"
            } else {
                "amount_too_large"
            };
            let error = GatewayError::invalid(format!("Amount must be from 1 to {AMOUNT_MAX}."));
            return Err(error.code(code).param("amount"));
        }
        let currency = currency(&form.required("currency")?)?;
        let payment_method = form.required("payment_method")?;
        let behaviour = behaviour(&payment_method)?;
        if form.optional("confirm").as_deref() != Some("true") {
            let error = GatewayError::invalid("The sandbox wants intents confirmed: confirm=true.");
            return Err(error.param("confirm"));
        }
        form.optional("payment_method_types[]");
        let capture_method = form
            .optional("capture_method")
            .unwrap_or("automatic".into());
        if !["manual", "automatic"].contains(&capture_method.as_str()) {
            let error = GatewayError::invalid("capture_method is manual or automatic.");
            return Err(error.param("capture_method"));
        }
        let intent = Self {
            id: new_id("pi"),
            charge: None,
            amount,
            received: 0,
            refunded: 0,
            currency,
            status: Status::RequiresPaymentMethod,
            capture_method,
            payment_method,
            metadata: form.metadata()?,
            last_error: None,
            canceled_at: None,
            created,
        };
        Ok(intent.confirm(behaviour))
    }

    fn confirm(mut self, behaviour: Behaviour) -> Changed {
        if let Behaviour::Declines { code, decline_code } = behaviour {
            return self.refuse(GatewayError::card(code, decline_code));
        }
        self.charge = Some(new_id("ch"));
        self.status = Status::RequiresCapture;
        if self.capture_method == "automatic" {
            let amount = self.amount;
            return self.take(amount);
        }
        Changed {
            intent: self,
            refused: None,
            event: "payment_intent.amount_capturable_updated",
        }
    }

    /// Takes what is reserved, or the part of it that is asked for.
    pub(crate) fn capture(mut self, amount: Option<i64>) -> Result<Changed, GatewayError> {
        self.expect(Status::RequiresCapture, "captured")?;
        let amount = amount.unwrap_or(self.amount);
        if !(1..=self.amount).contains(&amount) {
            let error = GatewayError::invalid("More than can be captured, or less than 1.");
            return Err(error.code("amount_too_large").param("amount_to_capture"));
        }
        if behaviour(&self.payment_method) == Ok(Behaviour::FailsAtCapture) {
            let refused = GatewayError::card("card_declined", Some("generic_decline"));
            return Ok(self.refuse(refused));
        }
        self.last_error = None;
        Ok(self.take(amount))
    }

    /// Frees what is reserved.
    pub(crate) fn cancel(mut self, now: i64) -> Result<Changed, GatewayError> {
        if matches!(self.status, Status::Succeeded | Status::Canceled) {
            self.expect(Status::RequiresCapture, "canceled")?;
        }
        self.status = Status::Canceled;
        self.canceled_at = Some(now);
        Ok(Changed {
            intent: self,
            refused: None,
            event: "payment_intent.canceled",
        })
    }

    /// As it goes over the wire.
    pub(crate) fn view(&self) -> Value {
        let capturable = match self.status {
            Status::RequiresCapture => self.amount,
            _ => 0,
        };
        json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": capturable,
            "amount_received": self.received,
            "canceled_at": self.canceled_at,
            "capture_method": self.capture_method,
            "created": self.created,
            "currency": self.currency,
            "last_payment_error": self.last_error,
            "latest_charge": self.charge,
            "livemode": false,
            "metadata": self.metadata,
            "payment_method": self.payment_method,
            "status": self.status,
        })
    }

    fn take(mut self, amount: i64) -> Changed {
        self.status = Status::Succeeded;
        self.received = amount;
        Changed {
            intent: self,
            refused: None,
            event: "payment_intent.succeeded",
        }
    }

    fn refuse(mut self, error: GatewayError) -> Changed {
        self.last_error = Some(error.body()["error"].take());
        let refused = error.with("payment_intent", self.view());
        Changed {
            intent: self,
            refused: Some(refused),
            event: "payment_intent.payment_failed",
        }
    }

    fn expect(&self, status: Status, done: &str) -> Result<(), GatewayError> {
        if self.status == status {
            return Ok(());
        }
        let status = json!(self.status);
        let status = status.as_str().unwrap_or_default();
        let message =
            format!("This PaymentIntent could not be {done} because it has a status of {status}.");
        Err(GatewayError::invalid(message)
            .code("payment_intent_unexpected_state")
            .with("payment_intent", self.view()))
    }
}

/// A new id in Stripe's form.
pub(crate) fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", stanchion::runtime::id::new_v7().simple())
}

fn currency(text: &str) -> Result<String, GatewayError> {
    let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_code {
        return Ok(text.to_ascii_lowercase());
    }
    let error = GatewayError::invalid(format!("Invalid currency: {text}."));
    Err(error.code("parameter_invalid_string").param("currency"))
}
