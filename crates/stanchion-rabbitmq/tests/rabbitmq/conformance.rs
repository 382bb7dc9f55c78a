//! The suite that every broker passes, in parts: each has a server of its own.

use std::sync::Arc;

use stanchion_testing::conformance::broker;

use super::server::{Server, UnderTest};

async fn part(name: &str) {
    if let Some(server) = Server::start() {
        broker::run_part(Arc::new(UnderTest(server)), name).await;
    }
}

stanchion_testing::broker_parts!(part);
