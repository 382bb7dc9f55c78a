use shop_kernel::{Money, MoneyError};

use super::REFUNDS_MAX;
use crate::domain::ledger::Unbalanced;

/// Why a payment says no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PaymentRefusal {
    /// There is no such payment.
    #[error("there is no such payment")]
    Unknown,
    /// Nothing is reserved that could be taken.
    #[error("the payment is not authorized")]
    NotAuthorized,
    /// Nothing was taken, so nothing can go back.
    #[error("the payment is not captured")]
    NotCaptured,
    /// It is being given back as a whole.
    #[error("the payment is being cancelled")]
    BeingCancelled,
    /// All of it went back already.
    #[error("the payment is refunded already")]
    AlreadyRefunded,
    /// What is left is on its way back in another refund, which may still fail.
    #[error("another refund of this payment is not settled yet")]
    RefundInProgress,
    /// More than is left.
    #[error("at most {left:?} can be refunded")]
    MoreThanLeft {
        /// What is left.
        left: Money,
    },
    /// Zero or less.
    #[error("a refund is more than nothing")]
    NotPositive,
    /// Another currency than the payment's.
    #[error("the payment is in another currency")]
    OtherCurrency,
    /// So many refunds were asked for already.
    #[error("a payment has at most {REFUNDS_MAX} refunds")]
    TooManyRefunds,
    /// The gateway's word contradicts what it said before: an operator must look.
    #[error("the gateway contradicts itself: {0}")]
    Contradiction(&'static str),
    /// Money would appear or vanish: a defect.
    #[error(transparent)]
    Unbalanced(#[from] Unbalanced),
    /// Amounts that do not fit together: a defect.
    #[error(transparent)]
    Money(#[from] MoneyError),
}
