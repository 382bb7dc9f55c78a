//! A message as Kafka has it: the envelope as JSON, the key as its key, and headers for whoever looks at the topic.

use krafka::Record;
use stanchion_messaging::{Envelope, PublishError, adapter};

/// The record, if its body is not larger than the bound.
pub(crate) fn record(
    envelope: &Envelope,
    topic: &str,
    bytes_max: usize,
) -> Result<Record, PublishError> {
    let body = adapter::body(envelope, bytes_max)?;
    let record = Record::new(topic, body)
        .partition(i32::from(envelope.partition))
        .key(envelope.message.key.clone());
    let headers = adapter::headers(envelope).into_iter();
    Ok(headers.fold(record, |record, (name, value)| record.header(name, value)))
}
