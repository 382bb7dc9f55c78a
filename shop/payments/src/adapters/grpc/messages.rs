//! Views as messages of `payment.v1`.

use shop_contracts::grpc::payment::v1 as pb;
use shop_contracts::grpc::timestamp;

use crate::adapters::http::payments::{PaymentView, RefundView};
use crate::domain::payment::{RefundStatus, Status};

impl From<PaymentView> for pb::Payment {
    fn from(payment: PaymentView) -> Self {
        let refunds = payment.refunds.unwrap_or_default().into_iter();
        Self {
            id: payment.id.to_string(),
            order_id: payment.order_id.to_string(),
            status: pb::PaymentStatus::from(payment.status).into(),
            amount: Some(payment.amount.into()),
            refunded: Some(payment.refunded.into()),
            refunds: refunds.map(Into::into).collect(),
            version: payment.version,
            created_at: Some(timestamp(payment.created_at)),
            updated_at: Some(timestamp(payment.updated_at)),
        }
    }
}

impl From<RefundView> for pb::PaymentRefund {
    fn from(refund: RefundView) -> Self {
        Self {
            id: refund.id.to_string(),
            amount: Some(refund.amount.into()),
            status: pb::RefundStatus::from(refund.status).into(),
            created_at: Some(timestamp(refund.created_at)),
        }
    }
}

impl From<Status> for pb::PaymentStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Authorized => Self::Authorized,
            Status::Captured => Self::Captured,
            Status::Declined => Self::Declined,
            Status::Voided => Self::Voided,
            Status::PartiallyRefunded => Self::PartiallyRefunded,
            Status::Refunded => Self::Refunded,
        }
    }
}

impl From<RefundStatus> for pb::RefundStatus {
    fn from(status: RefundStatus) -> Self {
        match status {
            RefundStatus::Pending => Self::Pending,
            RefundStatus::Succeeded => Self::Succeeded,
            RefundStatus::Failed => Self::Failed,
        }
    }
}
