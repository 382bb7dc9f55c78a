//! NATS JetStream as the broker between services: a publisher and a subscriber that keep order by key.
//!
//! # What is in the server
//!
//! One stream a system, named by the setting `prefix`, and in it one subject a partition and contract:
//! `PREFIX.07.orders.order_placed.v1`. One stream, not one a context: a group must see the whole of a log's partition to
//! notice a hole in it ([`Link`](stanchion_messaging::Link)), commands stand in their receiver's name but in their
//! sender's log, and the store has one identity to compare after a loss. The price is that a group also reads, and
//! acknowledges at once, what it does not want.
//!
//! For each group and partition there is one durable pull consumer, `GROUP-07`, that allows **one unacknowledged
//! message**. It is the server that keeps the order then, whatever the members do: the next message of a partition is
//! delivered to nobody before the one before is acknowledged, so a partition has one active member at any time without
//! a lease or an election, and any member may be the next. A member that closes gives back by NAK, at once; one that is
//! killed, cut off or silent for `ack_wait` loses its message to another, the same message before any later one. One
//! that comes back late may still finish what it had: the inbox makes that one effect, and its acknowledgement, which
//! the server accepts, then tells the truth. (Key-value buckets, which a lease would need, cannot be read by this client from a server 2.9.)
//!
//! What that costs is a round trip a message and partition: the acknowledgement asks for the next message in the same
//! word (`+NXT`). Nobody waits until the server has heard it: the next message shows that, and after a reconnection it is
//! said again, as long as nobody else can have been given it. A member that stops asks for nothing more, and waits (`+ACK`).
//! What the server has not heard comes again: a repeat, which the consumer's marks and inbox know.
//!
//! What waits together goes together: of messages of one partition that are handed over at once
//! ([`Publisher::publish_all`](stanchion_messaging::Publisher::publish_all), as the relay does) this makes a
//! [`Bundle`](stanchion_messaging::Bundle), one message of the stream under
//! `PREFIX.07.stanchion.bundle.v1`, with up to `bundle_max` messages and 256 KiB. It is stored, delivered and acknowledged
//! as a whole. A message that waited for nobody goes alone, under its contract. Members of a version before bundles would
//! terminate one, and find out later, by the hole, that they missed something: `bundle_max = 1` until they are gone.
//!
//! Streams and consumers are made when they are missing: at the first use, after each reconnection, when the server says
//! that one is gone, and when it is silent. What exists is left as it is: its limits are the operator's.
//!
//! # What holds and what does not
//!
//! A publish returns when the stream has it, and every publish carries its transport id as `Nats-Msg-Id`: a repeat
//! within `duplicate_window` is confirmed and not stored again. Delivery is at least once. A confirmed message survives
//! `kill -9` of the server, but not a power cut: JetStream does not wait for the disk. The log announces again what was
//! lost: the publisher's `store_id` tells a store made anew, and one that has gone back behind what it confirmed here.
//! A message that ends its member each time is put aside by the consumer, in rows, after `deliveries_max` deliveries, and
//! with it what came in the same bundle. A body that is no message is terminated, counted as `undecodable` and stays in the stream until its age ends it; the
//! log line names its sequence.
//!
//! Works with servers from 2.9 on. TLS by rustls with aws-lc-rs; user, token, nkey and credentials files.

mod broker;
mod connection;
mod give_back;
mod lane;
mod metrics;
mod names;
mod publisher;
mod settings;
mod stream;
mod subscription;
mod wire;
mod words;

pub use broker::{NatsBroker, NatsError};
pub use settings::NatsSettings;
