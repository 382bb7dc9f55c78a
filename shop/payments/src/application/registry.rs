//! What is stored and what is asked of oneself: golden files that every later version must read, and their schemas.

use stanchion::eventsourcing::Aggregate;
use stanchion::eventsourcing::testing::Registry;

use super::gateway_requests::{
    GatewayAuthorizationRequested, GatewayCaptureRequested, GatewayRefundRequested,
    GatewayVoidRequested,
};
use crate::domain::payment::{Payment, PaymentEvent};

#[test]
fn every_event_is_read_as_it_was_stored() {
    Registry::of(env!("CARGO_MANIFEST_DIR"))
        .events::<PaymentEvent>(Payment::CATEGORY)
        .contract::<GatewayAuthorizationRequested>()
        .contract::<GatewayCaptureRequested>()
        .contract::<GatewayRefundRequested>()
        .contract::<GatewayVoidRequested>()
        .check();
}
