//! `/payments/{id}/refunds`: giving back.

mod amount;

use axum::extract::State;
use serde::Deserialize;
use shop_kernel::PaymentId;
use stanchion::auth::permissions;
use stanchion::eventsourcing::{ExecuteError, Metadata, Version};
use stanchion::server::{
    Answer, Authorized, Body, Code, Idempotency, IdempotencyRule, PathId, Problem, Routes,
    Validate, Violations, op,
};
use utoipa::ToSchema;

use super::PaymentRoutes;
use super::payments::{PAYMENT_NOT_FOUND, PaymentView, not_found};
use crate::application::request_refund::{Amount, request_refund};
use crate::domain::payment::{Payment, PaymentRefusal};
use amount::RefundAmount;

const PAYMENT_NOT_CAPTURED: Code = Code::conflict(
    "PAYMENT_NOT_CAPTURED",
    "Nothing was taken yet, so nothing can be refunded.",
);
const PAYMENT_CANCELLED: Code = Code::conflict(
    "PAYMENT_CANCELLED",
    "The payment is being given back as a whole already.",
);
const PAYMENT_ALREADY_REFUNDED: Code = Code::conflict(
    "PAYMENT_ALREADY_REFUNDED",
    "All of the payment was refunded already.",
);
const REFUND_IN_PROGRESS: Code = Code::conflict(
    "REFUND_IN_PROGRESS",
    "Another refund of this payment is not settled yet; try again when it is.",
);
const TOO_MANY_REFUNDS: Code = Code::conflict(
    "TOO_MANY_REFUNDS",
    "The payment was refunded in as many parts as it can be.",
);

permissions! {
    /// Give money back.
    pub(crate) RefundPayments = "payment:refund";
}

pub(super) fn routes() -> Routes<PaymentRoutes> {
    let refund = op("Refund a payment", refund_payment)
        .about(
            "Gives back `amount`, or all that is left. `amount` is money, as everywhere, or a \
             whole number in minor units of the payment's currency. The refund is `pending` at \
             first; what the gateway made of it stands in the payment's `refunds`.",
        )
        .idempotency(IdempotencyRule::Required)
        .status(202)
        .errors(&[
            PAYMENT_NOT_FOUND,
            PAYMENT_NOT_CAPTURED,
            PAYMENT_CANCELLED,
            PAYMENT_ALREADY_REFUNDED,
            REFUND_IN_PROGRESS,
            TOO_MANY_REFUNDS,
        ]);
    Routes::new().post("/payments/{id}/refunds", refund)
}

/// A refund to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRefund {
    /// How much; all that is left unless given.
    #[serde(default)]
    amount: Option<RefundAmount>,
}

impl Validate for NewRefund {
    fn validate(&self, violations: &mut Violations) {
        let positive = self.amount.as_ref().is_none_or(RefundAmount::is_positive);
        violations.require(positive, "amount", "must be more than zero");
    }
}

pub(crate) async fn refund_payment(
    caller: Authorized<RefundPayments>,
    State(state): State<PaymentRoutes>,
    PathId(id): PathId<PaymentId>,
    idempotency: Idempotency,
    body: Option<Body<NewRefund>>,
) -> Result<Answer<PaymentView>, Problem> {
    let metadata = Metadata::new(Some(caller.subject.to_string()));
    let wanted = body.map(|Body(body)| body).unwrap_or_default().amount;
    let amount = wanted.map_or(Amount::Rest, Amount::from);
    let settling = |payment: &Payment, version| idempotency.entry(&accepted(payment, version)?);
    let executed = request_refund(&state.payments, id, amount, &metadata, settling).await;
    let executed = executed.map_err(|error| refused(error, id))?;
    let answer = executed
        .version
        .and_then(|version| accepted(&executed.state, version));
    let answer = answer.ok_or_else(|| not_found(id))?;
    Ok(answer.consistency(state.payments.log().id(), executed.position))
}

fn accepted(payment: &Payment, version: Version) -> Option<Answer<PaymentView>> {
    let view = PaymentView::of(payment, version)?;
    Some(Answer::accepted(format!("/payments/{}", view.id), view).etag(version.0))
}

fn refused(error: ExecuteError<PaymentRefusal>, id: PaymentId) -> Problem {
    match error {
        ExecuteError::Refused(PaymentRefusal::Unknown) => not_found(id),
        other => other.into(),
    }
}

impl From<PaymentRefusal> for Problem {
    fn from(refusal: PaymentRefusal) -> Self {
        let amount = |reason: &str| Self::invalid_field("amount", reason);
        match &refusal {
            PaymentRefusal::Unknown => PAYMENT_NOT_FOUND.problem(),
            PaymentRefusal::NotAuthorized | PaymentRefusal::NotCaptured => {
                PAYMENT_NOT_CAPTURED.problem()
            }
            PaymentRefusal::BeingCancelled => PAYMENT_CANCELLED.problem(),
            PaymentRefusal::AlreadyRefunded => PAYMENT_ALREADY_REFUNDED.problem(),
            PaymentRefusal::RefundInProgress => REFUND_IN_PROGRESS.problem(),
            PaymentRefusal::TooManyRefunds => TOO_MANY_REFUNDS.problem(),
            PaymentRefusal::MoreThanLeft { left } => {
                amount(&format!("must be at most {}, which is left", left.amount))
            }
            PaymentRefusal::NotPositive => amount("must be more than zero"),
            PaymentRefusal::OtherCurrency => {
                Self::invalid_field("amount.currency", "must be the payment's currency")
            }
            PaymentRefusal::Contradiction(_)
            | PaymentRefusal::Unbalanced(_)
            | PaymentRefusal::Money(_) => Self::internal(refusal),
        }
    }
}
