//! Payments as policies see them.

use std::sync::Arc;

use shop_kernel::{PaymentId, UserId};
use stanchion::auth::permissions;
use stanchion::auth::policy::{Entity, Kind, Resource, Vocabulary};
use stanchion::eventsourcing::{EventLog, Repository};

use crate::domain::payment::{Payment, Status};

permissions! {
    /// See anybody's payments.
    pub(crate) SeePayments = "payment:read";
}

/// The policies that payments comes with, in terms of its [`vocabulary`].
pub const POLICIES: &str = include_str!("../../policies.cedar");

/// What policies can say of payments: a `Payment` has an owner, a status, an amount in minor units and its currency, a
/// `PaymentList` (all payments of a customer) an owner.
#[must_use]
pub fn vocabulary() -> Vocabulary {
    let owner = || ("owner", Kind::entity("User"));
    Vocabulary::new()
        .resource(
            "Payment",
            [
                owner(),
                ("status", Kind::Text),
                ("amount", Kind::Number),
                ("currency", Kind::Text),
            ],
        )
        .resource("PaymentList", [owner()])
        .action::<SeePayments>(["Payment", "PaymentList"])
}

/// A payment as it is now; `None` for one that was never made.
pub(crate) fn guarded(payment: &Payment) -> Option<Resource> {
    let made = payment.request.as_ref()?;
    let status = match payment.status() {
        Status::Pending => "pending",
        Status::Authorized => "authorized",
        Status::Captured => "captured",
        Status::Declined => "declined",
        Status::Voided => "voided",
        Status::PartiallyRefunded => "partially_refunded",
        Status::Refunded => "refunded",
    };
    let payment = Resource::new("Payment", made.payment_id)
        .with("owner", Entity::user(made.customer_id.0))
        .with("status", status)
        .with("amount", made.amount.amount)
        .with("currency", made.amount.currency.as_str());
    Some(payment)
}

/// The payments of a customer, as a whole.
pub(crate) fn payments_of(customer: UserId) -> Resource {
    Resource::new("PaymentList", customer).with("owner", Entity::user(customer.0))
}

/// The payment with that id as policies see it, read from its log; `None` if there is none. For an operator who wants to
/// know why somebody may or may not.
///
/// # Errors
/// The log cannot be read, or the id is none.
pub async fn guarded_payment(log: Arc<dyn EventLog>, id: &str) -> Result<Option<Resource>, String> {
    let id: PaymentId = id.parse().map_err(|error| format!("{error}"))?;
    let loaded = Repository::<Payment>::new(log).load(&id.to_string()).await;
    let loaded = loaded.map_err(|error| error.to_string())?;
    Ok(guarded(&loaded.state))
}

#[cfg(test)]
mod tests {
    use stanchion::auth::policy::PolicyFile;

    use super::*;

    #[test]
    fn the_policies_of_payments_pass_their_check() {
        let policies = PolicyFile::parse("policies.cedar", POLICIES, &vocabulary());
        assert_eq!(policies.unwrap().summaries().count(), 3);
    }
}
