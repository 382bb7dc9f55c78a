//! Messages between the shop's contexts, and those of its public gRPC API; no logic.
//!
//! Every contract of the shop is about one order and is kept in order by it. A field is never
//! removed or renamed within a version. What is personal in them is sealed: it may lie about in brokers and dead letters.

pub mod grpc;
mod inventory;
mod orders;
mod payments;

#[cfg(feature = "next")]
pub use inventory::ReserveStockV2;
pub use inventory::{
    CommitStock, RefusalReason, ReleaseStock, ReserveStock, StockCommitted, StockItem,
    StockRefused, StockReleased, StockReserved,
};
pub use orders::{FailureReason, OrderCancelled, OrderFailed, OrderFulfilled, OrderPlaced};
pub use payments::{
    AuthorizePayment, CancelPayment, CapturePayment, PaymentAuthorized, PaymentCancelled,
    PaymentCaptured, PaymentDeclined,
};

/// Names each contract and says that its order is what keeps it in order.
macro_rules! contracts {
    ($($contract:ty = $name:literal),+ $(,)?) => {$(
        impl stanchion::messaging::Contract for $contract {
            const NAME: &'static str = $name;

            fn key(&self) -> String {
                self.order_id.to_string()
            }
        }
    )+};
}
pub(crate) use contracts;
