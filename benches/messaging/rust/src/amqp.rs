//! RabbitMQ with its usual client: publisher confirms in a window, a quorum queue, acknowledged in numbers.

use std::sync::Arc;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use load::{Job, Report};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::clock::Clock;
use crate::store::MoneyBooked;

/// Unconfirmed and unacknowledged messages.
const WINDOW: u16 = 256;

/// So many are acknowledged at once.
const ACK_EVERY: u64 = 32;

pub async fn run(job: &Job, url: &str) -> Report {
    let connection = Connection::connect(url, ConnectionProperties::default()).await;
    let connection = connection.expect("RabbitMQ is there");
    let queue = format!("b{}", Uuid::now_v7().simple());
    let publisher = connection.create_channel().await.expect("a channel");
    let confirms = publisher.confirm_select(ConfirmSelectOptions::default());
    confirms.await.expect("confirms");
    let mut arguments = FieldTable::default();
    let quorum = AMQPValue::LongString("quorum".into());
    arguments.insert("x-queue-type".into(), quorum);
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = publisher.queue_declare(queue.as_str().into(), durable, arguments);
    declared.await.expect("a queue");
    let consumer = connection.create_channel().await.expect("a channel");
    let qos = consumer.basic_qos(WINDOW, BasicQosOptions::default());
    qos.await.expect("a prefetch");
    let clock = Clock::new();
    let publishing = tokio::spawn(publish(publisher, queue.clone(), Arc::clone(&clock)));
    let consuming = tokio::spawn(consume(consumer, queue, Arc::clone(&clock)));
    let (counted, _) = clock.count(job.seconds).await;
    publishing.abort();
    consuming.abort();
    Report::rate(counted, job.seconds)
}

async fn publish(channel: Channel, queue: String, clock: Arc<Clock>) {
    let window = Arc::new(Semaphore::new(WINDOW.into()));
    loop {
        clock.room.acquire().await.expect("never closed").forget();
        let place = Arc::clone(&window).acquire_owned().await.expect("never closed");
        let body = serde_json::to_vec(&MoneyBooked::of(clock.number())).expect("it serialises");
        let sent = channel.basic_publish(
            "".into(),
            queue.as_str().into(),
            BasicPublishOptions::default(),
            &body,
            BasicProperties::default().with_delivery_mode(2),
        );
        let sent = sent.await.expect("sent");
        tokio::spawn(async move {
            sent.await.expect("it is confirmed");
            drop(place);
        });
    }
}

async fn consume(channel: Channel, queue: String, clock: Arc<Clock>) {
    let consumer = channel.basic_consume(
        queue.as_str().into(),
        "sink".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let mut consumer = consumer.await.expect("a subscription");
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery.expect("a message");
        let booked: MoneyBooked = serde_json::from_slice(&delivery.data).expect("JSON");
        if delivery.delivery_tag.is_multiple_of(ACK_EVERY) {
            let upto = BasicAckOptions { multiple: true };
            delivery.ack(upto).await.expect("acknowledged");
        }
        clock.handled(booked.number).await;
    }
}
