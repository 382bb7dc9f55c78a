//! What is stored and what is told oneself: golden files that every later version must read, and their schemas.

use stanchion::eventsourcing::Aggregate;
use stanchion::eventsourcing::testing::Registry;

use super::announce::ReservationStep;
use crate::domain::product::{Product, ProductEvent};
use crate::domain::reservation::{Reservation, ReservationEvent};

#[test]
fn every_event_is_read_as_it_was_stored() {
    Registry::of(env!("CARGO_MANIFEST_DIR"))
        .events::<ProductEvent>(Product::CATEGORY)
        .events::<ReservationEvent>(Reservation::CATEGORY)
        .contract::<ReservationStep>()
        .check();
}
