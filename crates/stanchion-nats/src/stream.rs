//! The stream and its groups' consumers: made where they are missing, otherwise left alone.

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};
use async_nats::jetstream::{ErrorCode, stream::Stream};
use futures_util::future::try_join_all;
use stanchion_messaging::{BrokerError, PARTITIONS};
use tracing::info;

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
        let (stream, _) = self.stream().await?;
        let stream = &stream;
        let consumers = (0..PARTITIONS).map(|partition| async move {
            let config = self.consumer_config(group, partition);
            let name = Names::consumer(group, partition);
            stream.get_or_create_consumer(&name, config).await
        });
        try_join_all(consumers).await.map_err(unavailable)?;
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
