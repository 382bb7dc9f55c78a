//! NATS JetStream with its own client: publishes in a window of unconfirmed ones, a durable pull consumer, acknowledged.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, stream};
use futures_util::StreamExt;
use load::{Job, Report};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::clock::{Clock, UNDERWAY_MAX};
use crate::store::MoneyBooked;

/// Messages asked for at once.
const BATCH: usize = 256;

pub async fn run(job: &Job, url: &str) -> Report {
    let name = format!("b{}", Uuid::now_v7().simple());
    let client = async_nats::connect(url).await.expect("NATS is there");
    let context = jetstream::new(client);
    let config = stream::Config {
        name: name.clone(),
        subjects: vec![format!("{name}.>")],
        duplicate_window: Duration::from_secs(120),
        ..stream::Config::default()
    };
    let stream = context.create_stream(config).await.expect("a stream");
    let config = pull::Config {
        durable_name: Some("sink".into()),
        ack_policy: AckPolicy::Explicit,
        max_ack_pending: UNDERWAY_MAX as i64,
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await.expect("a consumer");
    let clock = Clock::new();
    let publishing = tokio::spawn(publish(context, name, Arc::clone(&clock)));
    let consuming = tokio::spawn(consume(consumer, Arc::clone(&clock)));
    let (counted, _) = clock.count(job.seconds).await;
    publishing.abort();
    consuming.abort();
    Report::rate(counted, job.seconds)
}

async fn publish(context: jetstream::Context, name: String, clock: Arc<Clock>) {
    let window = Arc::new(Semaphore::new(BATCH));
    loop {
        clock.room.acquire().await.expect("never closed").forget();
        let place = Arc::clone(&window).acquire_owned().await.expect("never closed");
        let number = clock.number();
        let body = serde_json::to_vec(&MoneyBooked::of(number)).expect("it serialises");
        let message = jetstream::message::PublishMessage::build()
            .payload(body.into())
            .message_id(Uuid::now_v7().to_string());
        let subject = format!("{name}.{:02}.money", number % 16);
        let sent = context.send_publish(subject, message).await.expect("sent");
        tokio::spawn(async move {
            sent.await.expect("it is confirmed");
            drop(place);
        });
    }
}

async fn consume(consumer: jetstream::consumer::PullConsumer, clock: Arc<Clock>) {
    let messages = consumer.stream().max_messages_per_batch(BATCH).messages();
    let mut messages = messages.await.expect("a subscription");
    while let Some(message) = messages.next().await {
        let message = message.expect("a message");
        let booked: MoneyBooked = serde_json::from_slice(&message.payload).expect("JSON");
        message.ack().await.expect("acknowledged");
        clock.handled(booked.number).await;
    }
}
