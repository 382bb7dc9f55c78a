//! Gives back what was taken, or part of it.

use shop_kernel::{Money, PaymentId};
use stanchion::eventsourcing::{ExecuteError, Executed, Metadata, Version};
use stanchion::messaging::InboxEntry;
use stanchion::runtime::{clock, id};

use super::Payments;
use crate::domain::payment::{Action, Payment, PaymentRefusal, RefundId};

/// How much to give back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Amount {
    /// All that is left.
    Rest,
    /// So much.
    Money(Money),
    /// So many minor units of the payment's currency.
    Minor(i64),
}

/// Records the wish; the gateway is called once it is committed. `answer` commits with it.
pub(crate) async fn request_refund(
    payments: &Payments,
    payment_id: PaymentId,
    amount: Amount,
    metadata: &Metadata,
    answer: impl Fn(&Payment, Version) -> Option<InboxEntry> + Send + Sync,
) -> Result<Executed<Payment>, ExecuteError<PaymentRefusal>> {
    let stream = payment_id.to_string();
    let loaded = payments.load(&stream).await;
    let loaded = loaded.map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
    let Some(request) = loaded.state.request else {
        return Err(ExecuteError::Refused(PaymentRefusal::Unknown));
    };
    let action = Action::RequestRefund {
        refund_id: RefundId(id::new_v7()),
        amount: match amount {
            Amount::Rest => None,
            Amount::Money(money) => Some(money),
            Amount::Minor(minor) => Some(Money::new(minor, request.amount.currency)),
        },
    };
    payments
        .on(&stream, metadata)
        .settling(answer)
        .execute(&action.at(clock::now()))
        .await
}
