//! What contexts tell and ask each other: golden messages that every later version must read, and their schemas.

use shop_contracts::{
    AuthorizePayment, CancelPayment, CapturePayment, CommitStock, OrderCancelled, OrderFailed,
    OrderFulfilled, OrderPlaced, PaymentAuthorized, PaymentCancelled, PaymentCaptured,
    PaymentDeclined, ReleaseStock, ReserveStock, StockCommitted, StockRefused, StockReleased,
    StockReserved,
};
use stanchion::eventsourcing::testing::Registry;

#[test]
fn every_message_is_read_as_it_was_announced() {
    Registry::of(env!("CARGO_MANIFEST_DIR"))
        .contract::<OrderPlaced>()
        .contract::<OrderCancelled>()
        .contract::<OrderFulfilled>()
        .contract::<OrderFailed>()
        .contract::<ReserveStock>()
        .contract::<CommitStock>()
        .contract::<ReleaseStock>()
        .contract::<StockReserved>()
        .contract::<StockRefused>()
        .contract::<StockCommitted>()
        .contract::<StockReleased>()
        .contract::<AuthorizePayment>()
        .contract::<CapturePayment>()
        .contract::<CancelPayment>()
        .contract::<PaymentAuthorized>()
        .contract::<PaymentDeclined>()
        .contract::<PaymentCaptured>()
        .contract::<PaymentCancelled>()
        .check();
}
