//! What is stored: golden events that every later version must read, and their schemas.

use stanchion::eventsourcing::Aggregate;
use stanchion::eventsourcing::testing::Registry;

use crate::domain::fulfilment::{Fulfilment, FulfilmentEvent};
use crate::domain::order::{Order, OrderEvent};

#[test]
fn every_event_is_read_as_it_was_stored() {
    Registry::of(env!("CARGO_MANIFEST_DIR"))
        .events::<OrderEvent>(Order::CATEGORY)
        .events::<FulfilmentEvent>(Fulfilment::CATEGORY)
        .check();
}
