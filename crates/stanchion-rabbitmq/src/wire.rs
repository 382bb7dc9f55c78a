//! A message as RabbitMQ has it: the envelope as JSON, and headers for whoever looks at the broker.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use stanchion_messaging::{Envelope, PublishError};

/// How often a quorum queue has delivered a message before; absent at the first time.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// Persistent, as a quorum queue keeps everything.
const PERSISTENT: u8 = 2;

/// The body, if it is not larger than the bound.
pub(crate) fn body(envelope: &Envelope, bytes_max: usize) -> Result<Vec<u8>, PublishError> {
    let body = serde_json::to_vec(envelope)
        .map_err(|error| PublishError::Refused(format!("it cannot be written as JSON: {error}")))?;
    let bytes = body.len();
    if bytes > bytes_max {
        let text = format!("the message is too large: {bytes} bytes of at most {bytes_max}");
        return Err(PublishError::Refused(text));
    }
    Ok(body)
}

pub(crate) fn properties(envelope: &Envelope) -> BasicProperties {
    let message = &envelope.message;
    let mut headers = FieldTable::default();
    let mut set = |name: &str, value: &str| {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    };
    set("stanchion-contract", &message.contract);
    set("stanchion-key", &message.key);
    set("stanchion-message-id", &message.id.to_string());
    if let Some(trace) = &message.metadata.trace {
        set("traceparent", trace);
    }
    let seconds = u64::try_from(message.at.as_second()).unwrap_or(0);
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(envelope.transport.to_string().into())
        .with_timestamp(seconds)
        .with_headers(headers)
}

/// The envelope, or what is wrong with the body.
pub(crate) fn envelope(body: &[u8]) -> Result<Envelope, serde_json::Error> {
    serde_json::from_slice(body)
}

/// Whether a member had it before.
pub(crate) fn redelivered(properties: &BasicProperties, flag: bool) -> bool {
    let headers = properties.headers().as_ref();
    flag || headers.is_some_and(|headers| headers.inner().contains_key(DELIVERY_COUNT))
}
