//! Publishing with confirmation.

use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError as NotPublished, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use stanchion_messaging::{BrokerError, Envelope, PublishError};
use tokio::time::{Instant, timeout_at};

use super::connection::{Connection, unavailable};
use super::wire;

/// How far the stream was when it last answered, to notice that it went back.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    sequence: AtomicU64,
    losses: AtomicU64,
}

impl Seen {
    /// The stream has at least this; a new message below what it had means that it lost some.
    fn confirmed(&self, ack: &PublishAck) {
        let before = self.sequence.fetch_max(ack.sequence, Ordering::Relaxed);
        // Publishes of other partitions confirm out of turn, by no more than their number.
        if !ack.duplicate && ack.sequence + OUT_OF_TURN_MAX < before {
            self.lost(ack.sequence);
        }
    }

    fn lost(&self, now: u64) {
        self.sequence.store(now, Ordering::Relaxed);
        self.losses.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it went back, now that its last message is this one.
    fn losses(&self, last: u64, before: u64) -> u64 {
        if last < before {
            self.lost(last);
        }
        self.losses.load(Ordering::Relaxed)
    }
}

/// Publishes on their way at once: a confirmation so far behind another is no matter of order.
const OUT_OF_TURN_MAX: u64 = 10_000;

impl Connection {
    pub(crate) async fn publish(
        &self,
        envelope: &Envelope,
        seen: &Seen,
    ) -> Result<(), PublishError> {
        let begun = Instant::now();
        let published = self.publish_until(begun + self.settings.publish_timeout, envelope);
        match published.await {
            Ok(ack) => {
                let metrics = &self.metrics;
                let outcome = if ack.duplicate {
                    &metrics.duplicate
                } else {
                    &metrics.confirmed
                };
                outcome.inc();
                let took = begun.elapsed().as_secs_f64();
                metrics.confirm_seconds.observe(took);
                seen.confirmed(&ack);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn publish_until(
        &self,
        end: Instant,
        envelope: &Envelope,
    ) -> Result<PublishAck, PublishError> {
        let (body, headers) = (wire::body(envelope)?, wire::headers(envelope));
        let contract = &envelope.message.contract;
        let subject = self.names.subject(envelope.partition, contract);
        let mut created = false;
        loop {
            self.connected().await?;
            let publish = PublishMessage::build()
                .payload(body.clone())
                .headers(headers.clone());
            let confirmed = async {
                let sent = self.context.send_publish(subject.clone(), publish).await?;
                sent.await
            };
            match timeout_at(end, confirmed).await {
                Ok(Ok(ack)) => return Ok(ack),
                // Once: a stream that is gone again is the next call's.
                Ok(Err(error)) if error.kind() == PublishErrorKind::StreamNotFound && !created => {
                    created = true;
                    self.stream().await?;
                }
                Ok(Err(error)) => return Err(self.not_confirmed(&error, body.len())),
                Err(_elapsed) => {
                    self.metrics.unconfirmed.inc();
                    return Err(BrokerError("NATS did not confirm in time".into()).into());
                }
            }
        }
    }

    fn not_confirmed(&self, error: &NotPublished, bytes: usize) -> PublishError {
        let most = match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => {
                let most = self.client.max_payload();
                format!("NATS takes {most} with the headers")
            }
            _ if is_too_large(error) => "its stream takes fewer".to_owned(),
            _ => {
                self.metrics.unconfirmed.inc();
                return unavailable(error).into();
            }
        };
        self.metrics.refused.inc();
        PublishError::Refused(format!(
            "the message is too large: {bytes} bytes with its envelope, and {most}"
        ))
    }

    /// When the stream was created, and how often it was seen to go back.
    pub(crate) async fn store_id(&self, seen: &Seen) -> Result<String, BrokerError> {
        // Looked at first: what is confirmed while the server answers is no loss.
        let before = seen.sequence.load(Ordering::Relaxed);
        let (_, info) = self.stream().await?;
        let losses = seen.losses(info.state.last_sequence, before);
        Ok(format!("{}/{losses}", info.created.unix_timestamp_nanos()))
    }
}

/// The stream itself has a bound, which the client does not know.
fn is_too_large(error: &NotPublished) -> bool {
    let answer = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>());
    let large = [
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM,
        ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM,
    ];
    answer.is_some_and(|answer| large.contains(&answer.error_code()))
}
