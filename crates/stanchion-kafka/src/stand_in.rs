//! For tests, where there is no Kafka.

use std::io;

use krafka::testing::FakeBroker;

/// A broker within the test's own process that speaks Kafka's protocol over TCP, made by the client's authors to test it.
///
/// It keeps its logs in memory and one member of a group, the last: have one process that works for each context. It ends
/// when it is dropped; nothing survives it.
pub struct StandIn(FakeBroker);

impl StandIn {
    /// Listens on a free port of the loopback.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> io::Result<Self> {
        let started = FakeBroker::start().await;
        started
            .map(Self)
            .map_err(|error| io::Error::other(error.to_string()))
    }

    /// For `broker.url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("kafka://{}", self.0.bootstrap_servers())
    }
}
