//! What the gateway tells by itself: the same recording commands as the answers to our calls.

use shop_kernel::PaymentId;
use stanchion::eventsourcing::{ExecuteError, Metadata};
use stanchion::runtime::clock;

use super::Payments;
use crate::domain::payment::Action;

/// Something the gateway told about one of our payments.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) payment_id: PaymentId,
    pub(crate) intent: String,
    pub(crate) action: Action,
}

/// The log cannot take it now: the gateway shall tell it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the gateway told cannot be recorded now: {0}")]
pub(crate) struct NotNow(pub(crate) String);

/// Records it. What is known already, or is about no payment of ours, changes nothing.
pub(crate) async fn hear(payments: &Payments, told: &Told) -> Result<(), NotNow> {
    let id = told.payment_id.to_string();
    let loaded = payments.load(&id).await;
    let payment = loaded.map_err(|error| NotNow(error.to_string()))?.state;
    if payment.request.is_none() || !payment.may_be(&told.intent) {
        tracing::warn!(payment.id = %id, "the gateway told of an intent that is none of ours");
        return Ok(());
    }
    let metadata = Metadata::new(Some("gateway".into()));
    let command = told.action.clone().at(clock::now());
    match payments.execute(&id, &command, &metadata).await {
        Ok(_) => Ok(()),
        Err(ExecuteError::Refused(refusal)) => {
            tracing::error!(payment.id = %id, %refusal, "the gateway told what cannot be");
            Ok(())
        }
        Err(error) => Err(NotNow(error.to_string())),
    }
}
