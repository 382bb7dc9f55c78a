//! A message as RabbitMQ has it: an envelope as JSON or a bundle of them, and headers for whoever looks at the broker.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use stanchion_messaging::{BUNDLE, Bundle, Envelope, adapter};
use uuid::Uuid;

/// How often a quorum queue has delivered a message before; absent at the first time.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// Persistent, as a quorum queue keeps everything.
const PERSISTENT: u8 = 2;

pub(crate) fn properties(envelope: &Envelope) -> BasicProperties {
    told(adapter::headers(envelope), envelope.transport, envelope)
}

/// What tells a bundle: each of its messages has its own in the body.
pub(crate) fn bundle_properties(bundle: &Bundle, first: &Envelope) -> BasicProperties {
    let headers = vec![(adapter::CONTRACT, BUNDLE.to_owned())];
    told(headers, bundle.transport, first)
}

fn told(texts: Vec<(&str, String)>, transport: Uuid, first: &Envelope) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in texts {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let seconds = u64::try_from(first.message.at.as_second()).unwrap_or(0);
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(transport.to_string().into())
        .with_timestamp(seconds)
        .with_headers(headers)
}

/// Whether a member had it before.
pub(crate) fn redelivered(properties: &BasicProperties, flag: bool) -> bool {
    let headers = properties.headers().as_ref();
    flag || headers.is_some_and(|headers| headers.inner().contains_key(DELIVERY_COUNT))
}
