use async_trait::async_trait;
use shop_kernel::{Money, OrderId, PaymentId};
use uuid::Uuid;

use crate::domain::payment::{Action, RefundId};

/// Where cards are charged.
///
/// Every call that changes something carries a key: the same key again has no second effect and
/// gets the same answer, also after a crash of either side.
#[async_trait]
pub(crate) trait Gateway: Send + Sync {
    /// Reserves money.
    async fn authorize(
        &self,
        key: Uuid,
        wanted: &Authorization,
    ) -> Result<IntentAnswer, GatewayError>;

    /// Takes what an intent reserved.
    async fn capture(
        &self,
        key: Uuid,
        intent: &str,
        amount: Money,
    ) -> Result<IntentAnswer, GatewayError>;

    /// Frees what an intent reserved; the answer tells if it was captured before.
    async fn void(&self, key: Uuid, intent: &str) -> Result<IntentAnswer, GatewayError>;

    /// Gives back what an intent took, or part of it.
    async fn refund(&self, key: Uuid, wanted: &GiveBack) -> Result<RefundAnswer, GatewayError>;

    /// Asks how an intent is; changes nothing.
    async fn look_up(&self, intent: &str) -> Result<IntentAnswer, GatewayError>;
}

/// What to reserve, for whom.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Authorization {
    pub(crate) payment_id: PaymentId,
    pub(crate) order_id: OrderId,
    pub(crate) amount: Money,
    pub(crate) payment_method: String,
}

/// What to give back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GiveBack {
    pub(crate) payment_id: PaymentId,
    pub(crate) refund_id: RefundId,
    pub(crate) intent: String,
    pub(crate) amount: Money,
}

/// How an intent is, or what became of a call about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IntentAnswer {
    /// The money is reserved.
    Authorized { intent: String },
    /// Nothing is reserved and nothing will be.
    Declined { code: String },
    /// The money is taken.
    Captured { intent: String },
    /// The money is not taken and will not be; it may still be reserved.
    CaptureFailed { code: String },
    /// Nothing is reserved any more.
    Voided,
}

/// What became of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RefundAnswer {
    /// The money went back.
    Succeeded,
    /// It takes a while.
    Pending,
    /// It will never go back this way.
    Failed { code: String },
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GatewayError {
    /// It may have had an effect: ask again with the same key.
    #[error("the gateway's answer is unknown: {0}")]
    Unknown(String),
    /// It does not accept our credentials or our way of asking; an operator must look.
    #[error("the gateway refuses to be asked: {0}")]
    Unusable(String),
}

impl From<IntentAnswer> for Action {
    fn from(answer: IntentAnswer) -> Self {
        match answer {
            IntentAnswer::Authorized { intent } => Self::RecordAuthorized { intent },
            IntentAnswer::Declined { code } => Self::RecordDeclined { code },
            IntentAnswer::Captured { intent } => Self::RecordCaptured { intent },
            IntentAnswer::CaptureFailed { code } => Self::RecordCaptureFailed { code },
            IntentAnswer::Voided => Self::RecordVoided,
        }
    }
}
