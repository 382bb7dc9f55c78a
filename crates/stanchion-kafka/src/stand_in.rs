//! For tests, where there is no Kafka.

use std::io;

use krafka::testing::FakeBroker;

/// Its cluster has one broker.
const ONLY: i32 = 0;

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

    /// Ends all connections and refuses new ones; what was confirmed stays, as on a broker's disk.
    pub fn kill(&self) {
        self.0.crash(ONLY);
    }

    /// Is there again.
    pub fn restart(&self) {
        self.0.restart(ONLY);
    }

    /// For `broker.url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("kafka://{}", self.0.bootstrap_servers())
    }
}
