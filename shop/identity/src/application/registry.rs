//! What is stored: golden events that every later version must read, and their schemas.

use stanchion::eventsourcing::testing::Registry;

use crate::application::MailWanted;
use crate::domain::Event;

#[test]
fn every_event_is_read_as_it_was_stored() {
    Registry::of(env!("CARGO_MANIFEST_DIR"))
        .events::<Event>("identity")
        .contract::<MailWanted>()
        .check();
}
