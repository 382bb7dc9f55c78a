//! Messages between contexts over Kafka. **Experimental**: it has not run against a real Kafka.
//!
//! What it has run against is the broker that its client brings for tests (`krafka::testing`), which speaks Kafka's
//! protocol over TCP; that client is young and of one author. Take it for trying, and tell what you see.
//!
//! The only crate that knows the client of Kafka.
//!
//! - *Confirmed means stored*: the producer is idempotent and waits for all replicas in sync.
//! - *Order by key*: the topic `PREFIX.messages` has our partitions, each message goes to its key's; a partition has one
//!   member of a group. Every group reads all of it, also what it does not want: only so can it tell whether it has
//!   missed something ([`Link`](stanchion_messaging::Link)).
//! - *A group that is new* gets what the topic still has.
//! - *Acknowledging* commits one offset a partition, so a delivery that is dealt with before an earlier one of its
//!   partition is delivered again when its member goes away in between.
//! - *A body that is no message* is counted, logged with its partition and offset, and passed over: it stays in the topic.
//! - *The store* is known by the topic's own id: another one after the topic was deleted or the cluster wiped.
//!
//! A member that takes longer than [`work_max`](KafkaSettings::work_max) for a delivery, and does not say in between that
//! it is at work, loses its partitions to others.

mod broker;
mod connect;
mod hands;
mod metrics;
mod publisher;
mod settings;
#[cfg(feature = "stand-in")]
mod stand_in;
mod subscription;
mod wire;

pub use broker::{KafkaBroker, KafkaBrokerError};
pub use settings::{KafkaLogin, KafkaSettings, KafkaTlsSettings};
#[cfg(feature = "stand-in")]
pub use stand_in::StandIn;
