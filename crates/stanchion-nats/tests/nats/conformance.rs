//! The suite of every broker's adapter.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use stanchion_messaging::PARTITIONS;
use stanchion_nats::NatsBroker;
use stanchion_runtime::task;
use stanchion_telemetry::Metrics;
use stanchion_testing::conformance::broker::{
    self, BrokerUnderTest, Client, Promises, ServerChange,
};
use stanchion_testing::servers::Nats;

use super::support::{ACK_WAIT, PUBLISH_TIMEOUT, bare, settings};

struct Server {
    address: SocketAddr,
    server: Mutex<Nats>,
    bare: async_nats::Client,
    /// What the server said that it gave up, by stream.
    given_up: Arc<Mutex<HashMap<String, u64>>>,
}

impl Server {
    async fn start() -> Option<Self> {
        let server = Nats::required()?;
        let address = server.address();
        let bare = bare(address).await;
        let given_up = Arc::<Mutex<HashMap<String, u64>>>::default();
        for kind in ["MAX_DELIVERIES", "MSG_TERMINATED"] {
            let subject = format!("$JS.EVENT.ADVISORY.CONSUMER.{kind}.>");
            let mut advisories = bare.subscribe(subject).await.unwrap();
            let given_up = Arc::clone(&given_up);
            task::spawn("advisories", async move {
                while let Some(advisory) = advisories.next().await {
                    let stream = advisory.subject.split('.').nth(5).unwrap().to_owned();
                    *given_up.lock().entry(stream).or_default() += 1;
                }
            });
        }
        let server = Self {
            address,
            server: Mutex::new(server),
            bare,
            given_up,
        };
        server.answered().await;
        Some(server)
    }

    /// The server has dealt with everything that our own connection sent before.
    async fn answered(&self) {
        let inbox = self.bare.new_inbox();
        let mut own = self.bare.subscribe(inbox.clone()).await.unwrap();
        self.bare.publish(inbox, "".into()).await.unwrap();
        own.next().await.unwrap();
    }
}

#[async_trait]
impl BrokerUnderTest for Server {
    fn promises(&self) -> Promises {
        Promises {
            confirms_within: PUBLISH_TIMEOUT,
            redelivers_after: Some(ACK_WAIT),
            takes_over_within: Duration::from_secs(20),
            held_max: usize::from(PARTITIONS),
            body_bytes_max: 4 * 1024 * 1024,
            late_groups_see_all: true,
            members_share: true,
            survives_kill: true,
        }
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    async fn connect(&self, address: SocketAddr, prefix: &str) -> Client {
        let metrics = Metrics::default();
        let broker = NatsBroker::connect(&settings(address, prefix), &metrics).await;
        let broker = Arc::new(broker.unwrap());
        Client {
            publisher: broker.clone(),
            subscriber: broker,
            metrics,
        }
    }

    async fn put(&self, prefix: &str, partition: u16, body: &[u8]) {
        let subject = format!("{prefix}.{partition:02}.suite.thing_happened.v1");
        let context = async_nats::jetstream::new(self.bare.clone());
        let put = context.publish(subject, body.to_vec().into()).await;
        put.unwrap().await.unwrap();
    }

    async fn headers(&self, prefix: &str, publish: BoxFuture<'_, ()>) -> HashMap<String, String> {
        let mut tap = self.bare.subscribe(format!("{prefix}.>")).await.unwrap();
        // The server answers a connection in order: it knows of the tap now.
        self.answered().await;
        publish.await;
        let message = tap.next().await.unwrap();
        let headers = message.headers.unwrap_or_default();
        let headers = headers.iter();
        headers
            .map(|(name, values)| (name.to_string(), values[0].to_string()))
            .collect()
    }

    async fn dead_lettered(&self, prefix: &str) -> u64 {
        self.answered().await;
        self.given_up.lock().get(prefix).copied().unwrap_or(0)
    }

    async fn forget(&self, prefix: &str) {
        let context = async_nats::jetstream::new(self.bare.clone());
        context.delete_stream(prefix).await.unwrap();
    }

    fn change(&self, change: ServerChange) {
        let mut server = self.server.lock();
        match change {
            ServerChange::Kill => server.kill(),
            ServerChange::Start => server.restart(),
            ServerChange::Wipe => server.wipe(),
        }
        .unwrap();
    }
}

async fn part(name: &str) {
    if let Some(server) = Server::start().await {
        broker::run_part(Arc::new(server), name).await;
    }
}

stanchion_testing::broker_parts!(part);
