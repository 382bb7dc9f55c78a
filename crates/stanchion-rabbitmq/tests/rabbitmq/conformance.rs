//! The suite that every broker passes.

use std::sync::Arc;

use stanchion_testing::conformance::broker;

use super::server::{Server, UnderTest};

/// Parts of cases' names in `STANCHION_SUITE_PART`, with commas between, run those cases alone.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_a_broker() {
    let Some(server) = Server::start() else {
        return;
    };
    let parts = std::env::var("STANCHION_SUITE_PART").unwrap_or_default();
    let broker = Arc::new(UnderTest(server));
    for part in parts.split(',') {
        broker::run_only(Arc::clone(&broker) as _, part).await;
    }
}
