//! The adapter on a throwaway server, as the suite wants it.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use parking_lot::Mutex;
use stanchion_rabbitmq::{RabbitMq, RabbitMqSettings};
use stanchion_runtime::task;
use stanchion_telemetry::Metrics;
use stanchion_testing::conformance::broker::{BrokerUnderTest, Client, Promises, ServerChange};
use stanchion_testing::servers;

/// Messages of a partition that a member holds.
const PREFETCH: u16 = 8;

/// One server; what a case of the suite makes is in a virtual host of its own, which the next case deletes.
pub(super) struct Server {
    server: Mutex<servers::RabbitMq>,
    url: String,
    address: SocketAddr,
    /// Held while they are changed.
    hosts: tokio::sync::Mutex<HashSet<String>>,
    /// Those that a wiped server must be given again.
    last_hosts: Mutex<Vec<String>>,
    down: AtomicBool,
    /// It was wiped, or was down when they were to be made.
    lacks_hosts: AtomicBool,
}

impl Server {
    pub(super) fn start() -> Option<Arc<Self>> {
        let server = servers::RabbitMq::required()?;
        Some(Arc::new(Self {
            url: server.url().to_owned(),
            address: server.address(),
            server: Mutex::new(server),
            hosts: tokio::sync::Mutex::default(),
            last_hosts: Mutex::default(),
            down: AtomicBool::default(),
            lacks_hosts: AtomicBool::default(),
        }))
    }

    /// Settings for a test machine under load.
    pub(super) fn settings(&self, address: SocketAddr, prefix: &str) -> RabbitMqSettings {
        RabbitMqSettings {
            url: Some(self.url(address, prefix).into()),
            prefix: prefix.to_owned(),
            publish_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(30),
            backoff_max: Duration::from_secs(1),
            heartbeat: Duration::from_secs(20),
            prefetch: PREFETCH,
            balance_every: Duration::from_millis(300),
            message_bytes_max: "4MiB".parse_size(),
            ..RabbitMqSettings::default()
        }
    }

    fn url(&self, address: SocketAddr, prefix: &str) -> String {
        let url = self
            .url
            .replace(&self.address.to_string(), &address.to_string());
        url.replace("%2f", host(prefix))
    }

    /// Makes the virtual host of a prefix and deletes those of other cases.
    async fn enter(self: &Arc<Self>, prefix: &str) {
        let mut hosts = self.hosts.lock().await;
        let host = host(prefix).to_owned();
        if !hosts.insert(host.clone()) {
            return;
        }
        let others: Vec<_> = hosts.extract_if(|other| *other != host).collect();
        let server = Arc::clone(self);
        let changing = task::blocking("rabbitmqctl", move || {
            let delete =
                |host: &String| format!("rabbit_vhost:delete(<<\"{host}\">>, <<\"test\">>)");
            let changes = others.iter().map(delete).chain([add(&host)]);
            // A killed one is given the host when it starts.
            match server.down.load(Ordering::SeqCst) {
                true => server.lacks_hosts.store(true, Ordering::SeqCst),
                false => server.eval(changes),
            }
            *server.last_hosts.lock() = vec![host];
        });
        changing.await.unwrap();
    }

    /// All of them at once: the program takes seconds to start.
    fn eval(&self, expressions: impl Iterator<Item = String>) {
        let text = expressions.collect::<Vec<_>>().join(", ") + ".";
        let server = self.server.lock();
        server.ctl(&["eval", &text]).expect("rabbitmqctl");
    }

    /// A channel beside the adapter.
    pub(super) async fn channel(&self, prefix: &str) -> (Connection, Channel) {
        let url = self.url(self.address, prefix);
        let connection = Connection::connect(&url, ConnectionProperties::default());
        let connection = connection.await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(Default::default()).await.unwrap();
        (connection, channel)
    }
}

/// What makes a virtual host.
fn add(host: &str) -> String {
    format!(
        "rabbit_vhost:add(<<\"{host}\">>, <<\"test\">>), rabbit_auth_backend_internal:set_permissions(\
         <<\"stanchion\">>, <<\"{host}\">>, <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"test\">>)"
    )
}

/// `c12r3` is the third run of the twelfth case.
fn host(prefix: &str) -> &str {
    prefix.split('r').next().unwrap_or(prefix)
}

trait ParseSize {
    fn parse_size(&self) -> stanchion_config::ByteSize;
}

impl ParseSize for str {
    fn parse_size(&self) -> stanchion_config::ByteSize {
        stanchion_config::Setting::parse(self).unwrap()
    }
}

/// The suite's view of [`Server`].
pub(super) struct UnderTest(pub(super) Arc<Server>);

#[async_trait]
impl BrokerUnderTest for UnderTest {
    fn promises(&self) -> Promises {
        Promises {
            confirms_within: Duration::from_secs(5),
            redelivers_after: None,
            takes_over_within: Duration::from_secs(10),
            held_max: usize::from(PREFETCH) * 16,
            body_bytes_max: 4 * 1024 * 1024,
            late_groups_see_all: false,
            members_share: true,
            survives_kill: true,
        }
    }

    fn address(&self) -> SocketAddr {
        self.0.address
    }

    async fn connect(&self, address: SocketAddr, prefix: &str) -> Client {
        self.0.enter(prefix).await;
        let metrics = Metrics::default();
        let settings = self.0.settings(address, prefix);
        let broker = Arc::new(RabbitMq::open(&settings, &metrics).unwrap());
        Client {
            publisher: Arc::clone(&broker) as _,
            subscriber: broker,
            metrics,
        }
    }

    async fn put(&self, prefix: &str, partition: u16, body: &[u8]) {
        let (_connection, channel) = self.0.channel(prefix).await;
        let published = channel.basic_publish(
            format!("{prefix}.messages").into(),
            partition.to_string().into(),
            BasicPublishOptions::default(),
            body,
            BasicProperties::default(),
        );
        let confirmation = published.await.unwrap().await.unwrap();
        assert!(matches!(confirmation, Confirmation::Ack(_)));
    }

    async fn headers(&self, prefix: &str, publish: BoxFuture<'_, ()>) -> HashMap<String, String> {
        let (_connection, channel) = self.0.channel(prefix).await;
        let options = QueueDeclareOptions::exclusive();
        let queue = channel.queue_declare("".into(), options, FieldTable::default());
        let name = queue.await.unwrap().name().clone();
        let exchange = format!("{prefix}.messages");
        for partition in 0..16 {
            let (options, key) = (QueueBindOptions::default(), partition.to_string());
            let bound = channel.queue_bind(
                name.clone(),
                exchange.clone().into(),
                key.into(),
                options,
                FieldTable::default(),
            );
            bound.await.unwrap();
        }
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let consumer = channel.basic_consume(name, "".into(), options, FieldTable::default());
        let mut consumer = consumer.await.unwrap();
        publish.await;
        let delivery = futures_util::StreamExt::next(&mut consumer).await;
        let delivery = delivery.unwrap().unwrap();
        let headers = delivery.properties.headers().as_ref().unwrap();
        let text = |value: &lapin::types::AMQPValue| match value {
            lapin::types::AMQPValue::LongString(text) => text.to_string(),
            other => format!("{other:?}"),
        };
        let headers = headers.inner().iter();
        headers
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect()
    }

    async fn dead_lettered(&self, prefix: &str) -> u64 {
        let (_connection, channel) = self.0.channel(prefix).await;
        let options = QueueDeclareOptions::durable().passive();
        let name = format!("{prefix}.dead").into();
        let queue = channel.queue_declare(name, options, FieldTable::default());
        queue.await.unwrap().message_count().into()
    }

    async fn forget(&self, _prefix: &str) {
        // With the virtual host of its case, when the next one begins.
    }

    fn change(&self, change: ServerChange) {
        let mut server = self.0.server.lock();
        match change {
            ServerChange::Kill => server.kill(),
            ServerChange::Start => server.restart(),
            ServerChange::Wipe => server.wipe(),
        }
        .unwrap();
        drop(server);
        let down = change != ServerChange::Start;
        self.0.down.store(down, Ordering::SeqCst);
        if change == ServerChange::Wipe {
            self.0.lacks_hosts.store(true, Ordering::SeqCst);
        }
        if !down && self.0.lacks_hosts.swap(false, Ordering::SeqCst) {
            let hosts = self.0.last_hosts.lock().clone();
            self.0.eval(hosts.iter().map(|host| add(host)));
        }
    }
}
