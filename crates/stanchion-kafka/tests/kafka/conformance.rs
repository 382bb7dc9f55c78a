//! The suite that every broker passes.

use stanchion_testing::conformance::broker;

use super::server::UnderTest;

/// A part of a case's name in `STANCHION_SUITE_PART` runs that case alone.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_a_broker() {
    let part = std::env::var("STANCHION_SUITE_PART").unwrap_or_default();
    broker::run_only(UnderTest::start().await, &part).await;
}
