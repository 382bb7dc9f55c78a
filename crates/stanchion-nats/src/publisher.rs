//! Publishing with confirmation.

use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::header::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError as NotPublished, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use bytes::Bytes;
use stanchion_messaging::{
    BUNDLE, BUNDLE_BYTES_MAX, BrokerError, Bundle, Envelope, Parcel, PublishError, parcels,
};
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

/// What the server's bound on a message leaves to its headers.
const HEADERS_BYTES: usize = 4 * 1024;

/// Publishes on their way at once: a confirmation so far behind another is no matter of order.
const OUT_OF_TURN_MAX: u64 = 10_000;

/// What the server is handed.
struct Sending {
    subject: String,
    body: Bytes,
    headers: HeaderMap,
    messages: u64,
}

impl Connection {
    pub(crate) async fn publish(
        &self,
        envelope: &Envelope,
        seen: &Seen,
    ) -> Result<(), PublishError> {
        let sending = Sending {
            subject: self.subject(envelope.partition, &envelope.message.contract),
            body: wire::body(envelope)?,
            headers: wire::headers(envelope),
            messages: 1,
        };
        self.send(sending, seen).await
    }

    /// In bundles, one after the other.
    pub(crate) async fn publish_all(
        &self,
        envelopes: &[Envelope],
        seen: &Seen,
    ) -> Result<(), PublishError> {
        let bytes_max = self.client.max_payload().saturating_sub(HEADERS_BYTES);
        let messages_max = self.settings.bundle_max as usize;
        for parcel in parcels(envelopes, messages_max, bytes_max.min(BUNDLE_BYTES_MAX)) {
            match parcel.map_err(unavailable)? {
                Parcel::Alone(envelope) => self.publish(envelope, seen).await?,
                Parcel::Together(bundle) => self.publish_bundle(bundle, envelopes, seen).await?,
            }
        }
        Ok(())
    }

    async fn publish_bundle(
        &self,
        bundle: Bundle,
        envelopes: &[Envelope],
        seen: &Seen,
    ) -> Result<(), PublishError> {
        let partition = envelopes.first().map_or(0, |first| first.partition);
        let sending = Sending {
            subject: self.subject(partition, BUNDLE),
            headers: wire::bundle_headers(&bundle),
            messages: bundle.messages as u64,
            body: Bytes::from(bundle.body),
        };
        self.send(sending, seen).await
    }

    fn subject(&self, partition: u16, contract: &str) -> String {
        self.names.subject(partition, contract)
    }

    async fn send(&self, sending: Sending, seen: &Seen) -> Result<(), PublishError> {
        let begun = Instant::now();
        let ack = self
            .send_until(begun + self.settings.publish_timeout, &sending)
            .await?;
        let metrics = &self.metrics;
        let outcome = if ack.duplicate {
            &metrics.duplicate
        } else {
            &metrics.confirmed
        };
        outcome.inc_by(sending.messages);
        let took = begun.elapsed().as_secs_f64();
        metrics.confirm_seconds.observe(took);
        seen.confirmed(&ack);
        Ok(())
    }

    async fn send_until(
        &self,
        end: Instant,
        sending: &Sending,
    ) -> Result<PublishAck, PublishError> {
        let mut created = false;
        loop {
            self.connected().await?;
            let publish = PublishMessage::build()
                .payload(sending.body.clone())
                .headers(sending.headers.clone());
            let confirmed = async {
                let subject = sending.subject.clone();
                let sent = self.context.send_publish(subject, publish).await?;
                sent.await
            };
            match timeout_at(end, confirmed).await {
                Ok(Ok(ack)) => return Ok(ack),
                // Once: a stream that is gone again is the next call's.
                Ok(Err(error)) if error.kind() == PublishErrorKind::StreamNotFound && !created => {
                    created = true;
                    self.stream().await?;
                }
                Ok(Err(error)) => return Err(self.not_confirmed(&error, sending.body.len())),
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
