//! A message as Kafka has it: the envelope as JSON, the key as its key, and headers for whoever looks at the topic.

use krafka::Record;
use stanchion_messaging::{Envelope, PublishError};

/// The record, if its body is not larger than the bound.
pub(crate) fn record(
    envelope: &Envelope,
    topic: &str,
    bytes_max: usize,
) -> Result<Record, PublishError> {
    let body = serde_json::to_vec(envelope)
        .map_err(|error| PublishError::Refused(format!("it cannot be written as JSON: {error}")))?;
    let bytes = body.len();
    if bytes > bytes_max {
        let text = format!("the message is too large: {bytes} bytes of at most {bytes_max}");
        return Err(PublishError::Refused(text));
    }
    let message = &envelope.message;
    let record = Record::new(topic, body)
        .partition(i32::from(envelope.partition))
        .key(message.key.clone())
        .header("stanchion-contract", message.contract.clone())
        .header("stanchion-key", message.key.clone())
        .header("stanchion-message-id", message.id.to_string());
    Ok(match &message.metadata.trace {
        Some(trace) => record.header("traceparent", trace.clone()),
        None => record,
    })
}

/// The envelope, or what is wrong with the body.
pub(crate) fn envelope(body: &[u8]) -> Result<Envelope, serde_json::Error> {
    serde_json::from_slice(body)
}
