use serde::{Deserialize, Serialize};
use shop_kernel::Money;

use super::{Cancel, Payment, RefundId, Stage};

/// What the world sees of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// The gateway has not answered yet.
    Pending,
    /// The money is reserved.
    Authorized,
    /// The money is taken.
    Captured,
    /// The gateway refused; nothing is reserved or taken.
    Declined,
    /// What was reserved is free again.
    Voided,
    /// Part of what was taken went back.
    PartiallyRefunded,
    /// All that was taken went back.
    Refunded,
}

/// How far a refund is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundStatus {
    /// The gateway has not answered yet.
    Pending,
    /// The money went back.
    Succeeded,
    /// The gateway refused for good.
    Failed,
}

impl Status {
    /// Every status.
    pub(crate) const ALL: [Self; 7] = [
        Self::Pending,
        Self::Authorized,
        Self::Captured,
        Self::Declined,
        Self::Voided,
        Self::PartiallyRefunded,
        Self::Refunded,
    ];

    /// As stored and shown.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Authorized => "authorized",
            Self::Captured => "captured",
            Self::Declined => "declined",
            Self::Voided => "voided",
            Self::PartiallyRefunded => "partially_refunded",
            Self::Refunded => "refunded",
        }
    }

    /// The status of that name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

impl Payment {
    /// What the world sees.
    pub(crate) fn status(&self) -> Status {
        match &self.stage {
            Stage::Unmade | Stage::Pending => Status::Pending,
            Stage::Authorized | Stage::Capturing | Stage::CaptureFailed { .. } => {
                Status::Authorized
            }
            Stage::Declined => Status::Declined,
            Stage::Voided => Status::Voided,
            Stage::Captured if self.refunded() == 0 => Status::Captured,
            Stage::Captured if self.refunded() == self.captured() => Status::Refunded,
            Stage::Captured => Status::PartiallyRefunded,
        }
    }

    /// What was taken, in minor units.
    pub(crate) fn captured(&self) -> i64 {
        match (&self.stage, &self.request) {
            (Stage::Captured, Some(request)) => request.amount.amount,
            _ => 0,
        }
    }

    /// What went back, in minor units.
    pub(crate) fn refunded(&self) -> i64 {
        self.refunds_in(RefundStatus::Succeeded)
    }

    /// What was taken and neither went back nor is on its way, in minor units.
    pub(crate) fn left(&self) -> i64 {
        self.captured() - self.refunded() - self.refunding()
    }

    /// What is on its way back, in minor units.
    pub(crate) fn refunding(&self) -> i64 {
        self.refunds_in(RefundStatus::Pending)
    }

    /// What went back, as money; `None` for a payment that was never made.
    pub(crate) fn refunded_money(&self) -> Option<Money> {
        let request = self.request.as_ref()?;
        Some(Money::new(self.refunded(), request.amount.currency))
    }

    /// Whether the gateway still owes an answer to the authorization.
    pub(crate) fn awaits_authorization(&self) -> bool {
        self.stage == Stage::Pending
    }

    /// Whether the gateway still owes an answer to the capture.
    pub(crate) fn awaits_capture(&self) -> bool {
        self.stage == Stage::Capturing
    }

    /// Whether what is reserved is to be freed.
    pub(crate) fn awaits_void(&self) -> bool {
        let reserved = matches!(
            self.stage,
            Stage::Authorized | Stage::Capturing | Stage::CaptureFailed { .. }
        );
        self.void_asked && reserved
    }

    /// Whether the gateway still owes an answer to this refund.
    pub(crate) fn awaits_refund(&self, id: RefundId) -> bool {
        let refund = self.refunds.iter().find(|refund| refund.id == id);
        refund.is_some_and(|refund| refund.status == RefundStatus::Pending)
    }

    /// Whether that intent is its own; true as long as none is known.
    pub(crate) fn may_be(&self, intent: &str) -> bool {
        self.intent.as_deref().is_none_or(|known| known == intent)
    }

    /// Whether it is to be given back as a whole, or was.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel != Cancel::No
    }

    fn refunds_in(&self, status: RefundStatus) -> i64 {
        let own = self.refunds.iter().filter(|refund| refund.status == status);
        own.map(|refund| refund.amount.amount).sum()
    }
}
