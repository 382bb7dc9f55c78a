//! What stands in for Kafka, of which no registry has a server: a broker within the test's own process that speaks Kafka's
//! protocol over TCP, made by the client's authors to test it. It keeps its logs in memory and a group's last member alone,
//! so there is one process that works for each context, and nothing here kills the broker.

use krafka::testing::FakeBroker;

/// A broker; it ends with its test.
pub(crate) struct Kafka(FakeBroker);

impl Kafka {
    pub(crate) async fn start() -> Self {
        Self(FakeBroker::start().await.unwrap())
    }

    /// For `broker.url`.
    pub(crate) fn url(&self) -> String {
        format!("kafka://{}", self.0.bootstrap_servers())
    }
}
