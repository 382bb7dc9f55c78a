//! The adapter on a broker within the process, as the suite wants it.
//!
//! Kafka tells its clients where its brokers are, so a proxy in front of it is passed by. All connections go through a
//! SOCKS5 server instead: that is what the suite's fault proxy stands before.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use krafka::testing::FakeBroker;
use krafka::{Kafka, Record};
use parking_lot::Mutex;
use stanchion_kafka::{KafkaBroker, KafkaSettings};
use stanchion_runtime::task;
use stanchion_telemetry::Metrics;
use stanchion_testing::conformance::broker::{BrokerUnderTest, Client, Promises, ServerChange};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const DELIVERY_MESSAGES_MAX: u16 = 64;

pub(super) struct UnderTest {
    broker: FakeBroker,
    socks: SocketAddr,
    prefixes: Mutex<HashSet<String>>,
}

impl UnderTest {
    pub(super) async fn start() -> Arc<Self> {
        Arc::new(Self {
            broker: FakeBroker::start().await.unwrap(),
            socks: socks5().await,
            prefixes: Mutex::default(),
        })
    }

    fn topic(prefix: &str) -> String {
        format!("{prefix}.messages")
    }
}

#[async_trait]
impl BrokerUnderTest for UnderTest {
    fn promises(&self) -> Promises {
        Promises {
            confirms_within: Duration::from_secs(5),
            redelivers_after: None,
            takes_over_within: Duration::from_secs(10),
            held_max: usize::from(DELIVERY_MESSAGES_MAX),
            body_bytes_max: 4 * 1024 * 1024,
            late_groups_see_all: true,
            members_share: true,
            survives_kill: true,
        }
    }

    fn address(&self) -> SocketAddr {
        self.socks
    }

    async fn connect(&self, address: SocketAddr, prefix: &str) -> Client {
        self.prefixes.lock().insert(prefix.to_owned());
        let metrics = Metrics::default();
        let settings = KafkaSettings {
            brokers: Some(self.broker.bootstrap_servers()),
            socks5: Some(address.to_string()),
            prefix: prefix.to_owned(),
            publish_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            backoff_max: Duration::from_secs(1),
            session_timeout: Duration::from_secs(6),
            delivery_messages_max: DELIVERY_MESSAGES_MAX,
            message_bytes_max: stanchion_config::Setting::parse("4MiB").unwrap(),
            ..KafkaSettings::default()
        };
        let broker = Arc::new(KafkaBroker::open(&settings, &metrics).unwrap());
        Client {
            publisher: Arc::clone(&broker) as _,
            subscriber: broker,
            metrics,
        }
    }

    async fn put(&self, prefix: &str, partition: u16, body: &[u8]) {
        let brokers = self.broker.bootstrap_servers();
        let kafka = Kafka::builder(brokers).connect().await.unwrap();
        let producer = kafka.producer().build().await.unwrap();
        let record = Record::new(Self::topic(prefix), body.to_vec());
        let record = record.partition(i32::from(partition));
        let _written = producer.send(record).await.unwrap();
        producer.close().await.unwrap();
    }

    async fn headers(&self, prefix: &str, publish: BoxFuture<'_, ()>) -> HashMap<String, String> {
        publish.await;
        let records = self.broker.all_records(&Self::topic(prefix)).unwrap();
        let record = records.into_iter().next_back().unwrap();
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = record.headers.iter();
        headers
            .map(|(name, value)| (name.clone(), text(value.as_deref().unwrap_or_default())))
            .collect()
    }

    async fn dead_lettered(&self, _prefix: &str) -> u64 {
        // It has no such thing.
        0
    }

    async fn forget(&self, prefix: &str) {
        self.prefixes.lock().remove(prefix);
        self.broker.delete_topic(&Self::topic(prefix));
    }

    fn change(&self, change: ServerChange) {
        match change {
            ServerChange::Kill => self.broker.crash(0),
            ServerChange::Start => self.broker.restart(0),
            ServerChange::Wipe => {
                for prefix in self.prefixes.lock().iter() {
                    self.broker.delete_topic(&Self::topic(prefix));
                }
            }
        }
    }
}

async fn socks5() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let _for_ever = task::spawn("socks5", async move {
        while let Ok((client, _)) = listener.accept().await {
            let _unobserved = task::spawn("socks5-connection", pass(client));
        }
    });
    address
}

/// What RFC 1928 asks of a server for a client that wants no login and names an IPv4 address or a host.
async fn pass(mut client: TcpStream) -> Option<()> {
    client.set_nodelay(true).ok()?;
    let mut head = [0; 2];
    client.read_exact(&mut head).await.ok()?;
    let mut methods = vec![0; usize::from(head[1])];
    client.read_exact(&mut methods).await.ok()?;
    client.write_all(&[5, 0]).await.ok()?;
    let mut request = [0; 4];
    client.read_exact(&mut request).await.ok()?;
    let host = match request[3] {
        1 => {
            let mut address = [0; 4];
            client.read_exact(&mut address).await.ok()?;
            std::net::Ipv4Addr::from(address).to_string()
        }
        _ => {
            let length = client.read_u8().await.ok()?;
            let mut name = vec![0; usize::from(length)];
            client.read_exact(&mut name).await.ok()?;
            String::from_utf8(name).ok()?
        }
    };
    let port = client.read_u16().await.ok()?;
    let mut server = TcpStream::connect((host, port)).await.ok()?;
    server.set_nodelay(true).ok()?;
    client
        .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        .await
        .ok()?;
    tokio::io::copy_bidirectional(&mut client, &mut server)
        .await
        .ok()?;
    Some(())
}
