//! The bounds that queues are declared with.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};

use super::Names;
use crate::RabbitMqSettings;

/// Ids of the store that are kept: 1 MiB of some forty bytes each.
const STORE_BYTES_MAX: i64 = 1 << 20;

/// Nothing is dropped to make room: what does not fit is refused by this queue alone, and its group asks for it when it
/// comes to the hole. That also lets dead letters move without loss.
pub(super) fn group_queue(settings: &RabbitMqSettings, names: &Names) -> FieldTable {
    let mut arguments = quorum();
    let bytes = i64::try_from(settings.queue_bytes_max.as_usize()).unwrap_or(i64::MAX);
    let bounds = [
        ("x-single-active-consumer", AMQPValue::Boolean(true)),
        ("x-delivery-limit", long(settings.deliveries_max)),
        ("x-max-length", long(settings.queue_messages_max)),
        ("x-max-length-bytes", AMQPValue::LongLongInt(bytes)),
        ("x-overflow", text("reject-publish")),
        ("x-dead-letter-exchange", text(&names.dead())),
        ("x-dead-letter-strategy", text("at-least-once")),
    ];
    for (name, value) in bounds {
        arguments.insert(name.into(), value);
    }
    if let Some(age) = settings.queue_age_max {
        let age = AMQPValue::LongLongInt(millis(age));
        arguments.insert("x-message-ttl".into(), age);
    }
    arguments
}

pub(super) fn dead(settings: &RabbitMqSettings) -> FieldTable {
    let mut arguments = quorum();
    arguments.insert("x-max-length".into(), long(settings.dead_letters_max));
    arguments.insert("x-overflow".into(), text("drop-head"));
    arguments
}

pub(super) fn store_arguments() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("stream"));
    let bytes = AMQPValue::LongLongInt(STORE_BYTES_MAX);
    arguments.insert("x-max-length-bytes".into(), bytes);
    arguments
}

pub(super) fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn long(number: u32) -> AMQPValue {
    AMQPValue::LongLongInt(i64::from(number))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
