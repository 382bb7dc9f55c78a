//! Messages between contexts over RabbitMQ.
//!
//! The only crate that knows the client of AMQP. It needs RabbitMQ 3.10 or later: quorum queues, streams, and dead
//! letters that move without loss.
//!
//! What is promised, and by what:
//!
//! - *Confirmed means stored*: a message is confirmed when the quorum queue of every group has it.
//! - *A full queue stops nobody else*: it refuses what is new and keeps what it has, the publisher is told
//!   ([`Overflow`](stanchion_messaging::PublishError::Overflow)), and the relay goes on. The group finds the hole when it
//!   has worked off what it had, and asks its log for what is missing.
//! - *Order by key*: a partition is a queue a group, with one active consumer; the next one begins with what the last one
//!   had not acknowledged. Every group is sent all of a partition, also what it does not want: only so can it tell whether
//!   it has missed something ([`Link`](stanchion_messaging::Link)).
//! - *A group that is new* has nothing from before. When its queues are made, the id of the store changes
//!   ([`Publisher::store_id`](stanchion_messaging::Publisher::store_id)), and with it the relay announces again; the same
//!   after a broker was wiped or a queue deleted. Groups that had it already drop it by their inboxes.
//! - *Giving back* counts at the broker: each stop of a member counts once for what it held, up to
//!   [`deliveries_max`](RabbitMqSettings::deliveries_max), then the message is a dead letter of the broker. That bound is
//!   for what ends a process before it can write anything; all other failures are rows of the consumer's store.
//! - *Bundles*: messages of a partition that wait together travel as one [`Bundle`](stanchion_messaging::Bundle), up to
//!   [`bundle_max`](RabbitMqSettings::bundle_max) and 256 KiB; it is stored, delivered, acknowledged and given back as a
//!   whole.
//! - *A body that is no message* goes to the dead letters of the broker, in the queue `PREFIX.dead`.
//!
//! The broker's `consumer_timeout` (30 minutes unless configured) ends a member that holds a message for longer; handlers
//! have 30 seconds by default, and at most [`prefetch`](RabbitMqSettings::prefetch) of a partition wait for them.

mod balance;
mod broker;
mod connect;
mod lane;
mod line;
mod metrics;
mod publisher;
mod settings;
mod store;
mod subscription;
mod tls;
mod topology;
mod wire;

pub use broker::{RabbitMq, RabbitMqError};
pub use settings::{RabbitMqSettings, RabbitMqTlsSettings};
