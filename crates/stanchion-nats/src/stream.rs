//! The stream and its groups' consumers: made where they are missing, otherwise left alone.

use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};
use async_nats::jetstream::{ErrorCode, stream::Stream};
use futures_util::future::try_join_all;
use stanchion_messaging::{BrokerError, PARTITIONS};
use tracing::{info, warn};

use super::connection::{Connection, unavailable};
use super::names::Names;

/// What a create of something that is there meanwhile is refused with.
const EXISTS: ErrorCode = ErrorCode::STREAM_NAME_EXIST;

impl Connection {
    /// The stream as it is, made anew where it is missing.
    pub(crate) async fn stream(&self) -> Result<(Stream, Info), BrokerError> {
        self.connected().await?;
        let stream = match self.context.get_stream(self.names.stream()).await {
            Ok(stream) => stream,
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(refused)
                    if refused.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    self.create_stream().await?
                }
                _ => return Err(unavailable(error)),
            },
        };
        let info = stream.cached_info().clone();
        Ok((stream, info))
    }

    async fn create_stream(&self) -> Result<Stream, BrokerError> {
        let name = self.names.stream();
        info!(stream = name, "the stream is missing: it is created");
        match self.context.create_stream(self.stream_config()).await {
            Ok(stream) => Ok(stream),
            // Somebody else was quicker, with other limits.
            Err(error) if matches!(error.kind(), CreateStreamErrorKind::JetStream(refused) if refused.error_code() == EXISTS) =>
            {
                let there = self.context.get_stream(name).await;
                there.map_err(unavailable)
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    fn stream_config(&self) -> Config {
        let settings = &self.settings;
        Config {
            name: self.names.stream().to_owned(),
            subjects: vec![self.names.all()],
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            // The log has everything: better to lose the oldest here, and see the hole, than to stop announcing.
            discard: DiscardPolicy::Old,
            max_age: settings.max_age,
            max_bytes: i64::try_from(settings.max_bytes.as_usize()).unwrap_or(i64::MAX),
            max_messages: -1,
            max_messages_per_subject: -1,
            max_consumers: -1,
            num_replicas: settings.replicas as usize,
            // The server refuses a window beyond the age.
            duplicate_window: settings.duplicate_window.min(settings.max_age),
            ..Config::default()
        }
    }

    /// Stream and consumers of a group, made where they are missing.
    pub(crate) async fn group(&self, group: &str) -> Result<(), BrokerError> {
        let (stream, info) = self.stream().await?;
        let stream = &stream;
        let consumers = (0..PARTITIONS).map(|partition| async move {
            let config = self.consumer_config(group, partition);
            let name = Names::consumer(group, partition);
            stream.get_or_create_consumer(&name, config).await
        });
        let consumers = try_join_all(consumers).await.map_err(unavailable)?;
        let mut differs = stream_differs(&info.config, &self.stream_config());
        let wanted = self.consumer_config(group, 0);
        let each = consumers.iter().map(|it| &it.cached_info().config);
        differs.extend(each.flat_map(|is| consumer_differs(is, &wanted)));
        differs.sort_unstable();
        differs.dedup();
        if !differs.is_empty() && self.said_differs.set(()).is_ok() {
            let name = self.names.stream();
            warn!(
                stream = name,
                group,
                ?differs,
                "what is there stays as it was created, otherwise than it is set: to change it is the operator's work"
            );
        }
        Ok(())
    }

    fn consumer_config(&self, group: &str, partition: u16) -> pull::Config {
        pull::Config {
            durable_name: Some(Names::consumer(group, partition)),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.settings.ack_wait,
            // For ever: what cannot be handled is put aside by the consumer, in rows, not by the broker.
            max_deliver: -1,
            filter_subject: self.names.partition(partition),
            // The order of the partition, see the crate's documentation.
            max_ack_pending: 1,
            ..pull::Config::default()
        }
    }
}

/// What a stream has otherwise than it would be created with.
fn stream_differs(is: &Config, wanted: &Config) -> Vec<&'static str> {
    let all = [
        ("retention", is.retention != wanted.retention),
        ("replicas", is.num_replicas != wanted.num_replicas),
        ("max_age", is.max_age != wanted.max_age),
        ("max_bytes", is.max_bytes != wanted.max_bytes),
        (
            "duplicate_window",
            is.duplicate_window != wanted.duplicate_window,
        ),
    ];
    those(&all)
}

/// The same of a group's consumer; with more than one unacknowledged message there is no order by key.
fn consumer_differs(is: &consumer::Config, wanted: &pull::Config) -> Vec<&'static str> {
    let pending = is.max_ack_pending != wanted.max_ack_pending;
    let all = [
        ("ack_wait", is.ack_wait != wanted.ack_wait),
        ("max_ack_pending", pending),
        ("max_deliver", is.max_deliver != wanted.max_deliver),
    ];
    those(&all)
}

fn those(all: &[(&'static str, bool)]) -> Vec<&'static str> {
    let differ = all.iter().filter(|(_, differs)| *differs);
    differ.map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_somebody_has_set_otherwise_at_the_server_is_named() {
        let wanted = Config {
            max_age: Duration::from_secs(60),
            num_replicas: 3,
            ..Config::default()
        };
        assert!(stream_differs(&wanted, &wanted).is_empty());
        let is = Config {
            max_bytes: 7,
            num_replicas: 1,
            ..wanted.clone()
        };
        assert_eq!(stream_differs(&is, &wanted), ["replicas", "max_bytes"]);

        let wanted = pull::Config {
            max_ack_pending: 1,
            ..pull::Config::default()
        };
        let is = consumer::Config {
            max_ack_pending: 1_000,
            ..consumer::Config::default()
        };
        assert_eq!(consumer_differs(&is, &wanted), ["max_ack_pending"]);
    }
}
