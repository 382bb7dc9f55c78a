//! What one run of a case has: names, a proxy, clients, messages.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use stanchion_messaging::{
    BrokerError, Envelope, LogId, Message, Metadata, Origin, PARTITIONS, Position, partition_of,
};
use stanchion_runtime::{clock, id, task};
use tokio::sync::Barrier;
use tokio::time::Instant;

use super::member::Member;
use super::{BrokerUnderTest, Client, Promises, ServerChange};
use crate::proxy::FaultProxy;

pub(super) const CONTRACT: &str = "suite.thing_happened.v1";

/// The longest one step waits for the broker.
pub(super) const STEP_MAX: Duration = Duration::from_secs(60);

/// How long nothing must come for it to count as nothing.
pub(super) const QUIET: Duration = Duration::from_millis(700);

/// The server that all runs of a case share: it is changed when all of them are there.
pub(super) struct Server {
    broker: Arc<dyn BrokerUnderTest>,
    arrived: Barrier,
    done: Barrier,
}

impl Server {
    pub(super) fn new(broker: Arc<dyn BrokerUnderTest>, runs: usize) -> Self {
        let (arrived, done) = (Barrier::new(runs), Barrier::new(runs));
        Self {
            broker,
            arrived,
            done,
        }
    }
}

pub(super) struct Stage {
    pub(super) proxy: FaultProxy,
    pub(super) promises: Promises,
    pub(super) broker: Arc<dyn BrokerUnderTest>,
    pub(super) prefix: String,
    server: Arc<Server>,
}

impl Stage {
    pub(super) fn new(
        broker: Arc<dyn BrokerUnderTest>,
        server: Arc<Server>,
        case: usize,
        run: usize,
    ) -> Self {
        Self {
            proxy: FaultProxy::start(broker.address()).unwrap(),
            promises: broker.promises(),
            broker,
            prefix: prefix(case, run),
            server,
        }
    }

    /// A client behind this run's proxy.
    pub(super) async fn client(&self) -> Client {
        let address = self.proxy.address();
        self.broker.connect(address, &self.prefix).await
    }

    /// A client that the proxy does not touch.
    pub(super) async fn direct(&self) -> Client {
        let address = self.broker.address();
        self.broker.connect(address, &self.prefix).await
    }

    /// Waits until every run of the case is here, then the server is changed, once.
    pub(super) async fn server(&self, changes: &'static [ServerChange]) {
        if self.server.arrived.wait().await.is_leader() {
            let broker = Arc::clone(&self.server.broker);
            let changing = task::blocking("server", move || {
                changes.iter().for_each(|&change| broker.change(change));
            });
            changing.await.unwrap();
        }
        self.server.done.wait().await;
    }

    /// Makes sure that the group is known to the broker: it sees what is published from now on.
    pub(super) async fn joined(&self, client: &Client, group: &str) -> Member {
        let mut member = Member::join(client, group).await;
        // Where a group is made by its first wait.
        member.quiet(Duration::from_millis(50)).await;
        member
    }
}

/// What everything of a run begins with.
pub(super) fn prefix(case: usize, run: usize) -> String {
    format!("c{case}r{run}")
}

/// A log that announces.
pub(super) struct Source {
    log: LogId,
    position: Position,
    last: [Position; PARTITIONS as usize],
}

impl Source {
    pub(super) fn new() -> Self {
        Self {
            log: LogId(id::new_v7()),
            position: Position::START,
            last: [Position::START; PARTITIONS as usize],
        }
    }

    /// The next message of this key.
    pub(super) fn next(&mut self, key: &str) -> Envelope {
        let payload = json!({ "position": self.position.0 + 1 });
        self.next_with(key, CONTRACT, payload)
    }

    pub(super) fn next_with(&mut self, key: &str, contract: &str, payload: Value) -> Envelope {
        let partition = partition_of(key);
        self.position = self.position.next();
        let last = &mut self.last[usize::from(partition)];
        let prev = std::mem::replace(last, self.position);
        let (log, position) = (self.log, self.position);
        let id = id::new_v7();
        Envelope {
            message: Message {
                id,
                contract: contract.to_owned(),
                key: key.to_owned(),
                payload,
                origin: Origin { log, position },
                metadata: metadata(),
                at: at(),
            },
            partition,
            prev,
            transport: id,
        }
    }

    /// `each` messages of each of `keys` keys, the keys in turn.
    pub(super) fn rounds(&mut self, keys: usize, each: usize) -> Vec<Envelope> {
        let order = (0..each).flat_map(|_| 0..keys);
        order.map(|key| self.next(&format!("key-{key}"))).collect()
    }
}

fn metadata() -> Metadata {
    Metadata {
        trace: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        ..Metadata::new(Some("tester".into()))
    }
}

fn at() -> Timestamp {
    clock::now()
}

/// A key of the partition.
pub(super) fn key_of(partition: u16) -> String {
    (0..)
        .map(|number| format!("k{number}"))
        .find(|key| partition_of(key) == partition)
        .unwrap()
}

/// Publishes as a relay does: a partition's one after the other, each until it is confirmed.
pub(super) async fn publish_all(client: &Client, envelopes: &[Envelope]) {
    let partition = |number: u16| {
        let own = envelopes.iter().filter(move |one| one.partition == number);
        async move {
            for envelope in own {
                publish(client, envelope).await;
            }
        }
    };
    futures_util::future::join_all((0..PARTITIONS).map(partition)).await;
}

/// Until it is confirmed, however often the broker is away meanwhile.
pub(super) async fn publish(client: &Client, envelope: &Envelope) {
    let begun = Instant::now();
    while let Err(error) = client.publisher.publish(envelope).await {
        assert!(begun.elapsed() < STEP_MAX, "never confirmed: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Messages of one partition at once, until all are confirmed.
pub(super) async fn publish_together(client: &Client, envelopes: &[Envelope]) {
    let begun = Instant::now();
    while let Err(error) = client.publisher.publish_all(envelopes).await {
        assert!(begun.elapsed() < STEP_MAX, "never confirmed: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What the broker's store is known by, once it answers.
pub(super) async fn store_id(client: &Client) -> String {
    let begun = Instant::now();
    loop {
        match client.publisher.store_id().await {
            Ok(id) => return id,
            Err(BrokerError(reason)) => assert!(begun.elapsed() < STEP_MAX, "{reason}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The sum of a metric over all of its labels that contain `label`.
pub(super) fn counted(client: &Client, name: &str, label: &str) -> u64 {
    let text = client.metrics.encode();
    let lines = text
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(label));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum::<f64>() as u64
}

/// How many bodies of a subscription were no messages.
pub(super) fn undecodable(client: &Client) -> u64 {
    counted(
        client,
        "stanchion_broker_messages_total",
        "outcome=\"undecodable\"",
    )
}
