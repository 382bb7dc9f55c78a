//! Messages between contexts: contracts, consumers with inbox, retry and dead letters.
//!
//! A **contract** is a named, versioned message ([`Contract`]); on its way it is a [`Message`].
//! A [`Feed`] is what a context announces, in the order of its log; a [`Subscriber`] hands the
//! messages of all feeds to consumer groups. A [`Consumer`] handles each message once in effect:
//! the handler's effect commits together with an [`InboxEntry`], a failing message moves to retry
//! rows without blocking other keys, and after the last attempt it is a dead letter.
//!
//! On its way through a broker a context's log is followed by a [`Forwarder`], one for each context, which is held by a lease
//! and announces again what a broker lost: each message says what was announced before it in its **line** (a partition of a
//! log, a family of contracts), and a consumer that misses something asks for it. [`Parked::delayed`] is a message to oneself
//! at a later time.
//!
//! What survives a crash: everything. A feed is read from a durable log, a group's progress, its
//! retries and dead letters are rows of its own store. What may repeat: the delivery of a message,
//! never its effect.

pub mod adapter;
mod broker;
mod bundle;
mod consumer;
pub mod contract;
mod delayed;
mod inbox;
mod memory;
mod message;
mod port;
mod relay;
mod schedule;
mod size;
mod store;

pub use broker::MemoryBroker;
pub use bundle::{BUNDLE, BUNDLE_BYTES_MAX, BUNDLE_MESSAGES_MAX, Bundle, Parcel, parcels};
pub use consumer::{Consumer, ConsumerLimits, HandlerError, Received};
pub use contract::{Contract, DecodeError, family};
pub use inbox::{Claim, Claimed, Inbox, InboxEntry, InboxError, InboxKey, MessageOrigin};
pub use memory::{MemoryConsumerStore, MemoryInbox, Unsettled};
pub use message::{LogId, Message, Metadata, Origin, Place, Position};
pub use port::{
    BrokerError, Delivery, Envelope, Feed, FeedPage, Group, Link, PARTITIONS, Progress,
    PublishError, Publisher, Receipt, Subscriber, Subscription, partition_of,
};
pub use relay::{
    Again, Forwarder, MemoryRelayStore, Redrive, RelayHealth, RelayLimits, RelayState, RelayStore,
};
pub use schedule::{InvalidSchedule, Schedule};
pub use store::{
    AfterLastAttempt, ConsumerStore, DeadLetterFilter, Mark, Parked, ParkedNote, ParkedState,
    StoreError,
};
