//! A message as RabbitMQ has it: the envelope as JSON, and headers for whoever looks at the broker.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use stanchion_messaging::{Envelope, adapter};

/// How often a quorum queue has delivered a message before; absent at the first time.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// Persistent, as a quorum queue keeps everything.
const PERSISTENT: u8 = 2;

pub(crate) fn properties(envelope: &Envelope) -> BasicProperties {
    let message = &envelope.message;
    let mut headers = FieldTable::default();
    for (name, value) in adapter::headers(envelope) {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let seconds = u64::try_from(message.at.as_second()).unwrap_or(0);
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(envelope.transport.to_string().into())
        .with_timestamp(seconds)
        .with_headers(headers)
}

/// Whether a member had it before.
pub(crate) fn redelivered(properties: &BasicProperties, flag: bool) -> bool {
    let headers = properties.headers().as_ref();
    flag || headers.is_some_and(|headers| headers.inner().contains_key(DELIVERY_COUNT))
}
