//! Test payment methods and what they do.

use crate::error::GatewayError;

/// How a payment method behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// All goes well.
    Succeeds,
    /// It is refused at once.
    Declines {
        code: &'static str,
        decline_code: Option<&'static str>,
    },
    /// It is authorised, and refused when captured.
    FailsAtCapture,
    /// Refunds take a while.
    RefundsLate,
    /// Refunds fail.
    RefundsFail,
}

/// What the method of that name does.
pub(crate) fn behaviour(method: &str) -> Result<Behaviour, GatewayError> {
    let declines = |code, decline_code| Ok(Behaviour::Declines { code, decline_code });
    match method {
        "pm_card_visa" | "pm_card_visa_debit" | "pm_card_mastercard" | "pm_card_amex" => {
            Ok(Behaviour::Succeeds)
        }
        "pm_card_chargeDeclined" | "pm_card_visa_chargeDeclined" => {
            declines("card_declined", Some("generic_decline"))
        }
        "pm_card_chargeDeclinedInsufficientFunds"
        | "pm_card_visa_chargeDeclinedInsufficientFunds" => {
            declines("card_declined", Some("insufficient_funds"))
        }
        "pm_card_chargeDeclinedExpiredCard" => declines("expired_card", None),
        "pm_card_chargeDeclinedProcessingError" => declines("processing_error", None),
        "pm_card_captureDeclined" => Ok(Behaviour::FailsAtCapture),
        "pm_card_pendingRefund" => Ok(Behaviour::RefundsLate),
        "pm_card_refundFail" => Ok(Behaviour::RefundsFail),
        unknown => Err(GatewayError::no_such(
            "PaymentMethod",
            unknown,
            "payment_method",
        )),
    }
}
