//! Make your Rust service survive production: the one stanchion line in a manifest.
//!
//! Each module is a crate of its own, re-exported whole:
//!
//! | module | is |
//! |---|---|
//! | [`server`] | services and modules, REST with an envelope, problems and stated permissions, the stop protocol |
//! | [`resilience`] | deadline, retry with budget, hedge, breaker, bulkhead, rate and adaptive limits, one policy a dependency |
//! | [`client`] (feature `client`, on by default) | outgoing HTTP and gRPC, a policy a dependency, discovery and balancing |
//! | `mail` | mails to people, over SMTP or into files; with the feature `mail` |
//! | `nats` | NATS JetStream as the broker between services; with the feature `nats` |
//! | `redis` | a rate limit and a cache tier that all processes share; with the feature `redis` |
//! | [`cache`] | values by key in process and in a tier that processes share, one load a key, pushed invalidation |
//! | `rabbitmq` | RabbitMQ as the broker between services; with the feature `rabbitmq` |
//! | `kafka` | Kafka as the broker between services, experimental; with the feature `kafka` |
//! | [`eventsourcing`] | aggregates, the event log, repositories, projections, process managers, the relay |
//! | [`messaging`] | contracts, consumers with inbox, retry and dead letters, the in-process broker |
//! | [`sql`] | one facade over SQLite and PostgreSQL: the durable log, unit of work, migrations |
//! | [`auth`] | tokens, keys, passwords, the principal and permissions |
//! | [`issuers`] (feature `client`) | other people's issuers: their tokens by the keys that they publish |
//! | [`vault`] (feature `client`) | secrets of a Vault |
//! | [`config`] | typed configuration, every value with its source |
//! | [`telemetry`] | logs, metrics, traces |
//! | [`runtime`] | the one home of clock, randomness and spawned tasks |

#[cfg(feature = "client")]
pub mod issuers;
#[cfg(feature = "client")]
pub mod vault;

pub use stanchion_auth as auth;
pub use stanchion_cache as cache;
#[cfg(feature = "client")]
pub use stanchion_client as client;
pub use stanchion_config as config;
pub use stanchion_eventsourcing as eventsourcing;
#[cfg(feature = "kafka")]
pub use stanchion_kafka as kafka;
#[cfg(feature = "mail")]
pub use stanchion_mail as mail;
pub use stanchion_messaging as messaging;
#[cfg(feature = "nats")]
pub use stanchion_nats as nats;
#[cfg(feature = "rabbitmq")]
pub use stanchion_rabbitmq as rabbitmq;
#[cfg(feature = "redis")]
pub use stanchion_redis as redis;
pub use stanchion_resilience as resilience;
pub use stanchion_runtime as runtime;
pub use stanchion_server as server;
pub use stanchion_sql as sql;
pub use stanchion_telemetry as telemetry;
