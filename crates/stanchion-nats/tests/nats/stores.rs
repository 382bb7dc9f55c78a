//! Stores that are not what they were: streams and consumers deleted, older copies put back.

use async_nats::jetstream;
use stanchion_messaging::Publisher;
use stanchion_testing::servers::Nats;

use super::support::{PREFIX, bare, connect, envelope, publish, reading, settings, take};

/// B7: a stream that an operator deletes under everybody's feet is another store, made anew by whoever comes first.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_stream_is_made_anew_and_told() {
    let Some(server) = Nats::required() else {
        return;
    };
    let (broker, mut subscription) = reading(&settings(server.address(), PREFIX)).await;
    let known = broker.store_id().await.unwrap();
    let context = jetstream::new(bare(server.address()).await);
    context.delete_stream(PREFIX).await.unwrap();
    let next = envelope("b");
    broker.publish(&next).await.unwrap();
    assert_ne!(broker.store_id().await.unwrap(), known);
    // The same subscription, without a reconnection.
    let came = take(subscription.as_mut()).await;
    assert_eq!(came, [next.message]);
}

/// B7: an older copy of the store, with the same stream in it, is told by how far it goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_went_back_is_told() {
    let Some(mut server) = Nats::required() else {
        return;
    };
    let broker = connect(&settings(server.address(), PREFIX)).await;
    publish(&broker, &envelope("a")).await;
    server.kill().unwrap();
    let copy = server.copy().unwrap();
    server.restart().unwrap();
    for number in 0..20 {
        publish(&broker, &envelope(&format!("lost-{number}"))).await;
    }
    let known = broker.store_id().await.unwrap();
    assert_eq!(broker.store_id().await.unwrap(), known);
    server.kill().unwrap();
    server.restore(&copy).unwrap();
    server.restart().unwrap();
    publish(&broker, &envelope("b")).await;
    let after = broker.store_id().await.unwrap();
    assert_ne!(after, known);
    assert_eq!(broker.store_id().await.unwrap(), after);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_consumers_are_made_anew() {
    let Some(server) = Nats::required() else {
        return;
    };
    let (broker, mut subscription) = reading(&settings(server.address(), PREFIX)).await;
    let context = jetstream::new(bare(server.address()).await);
    let stream = context.get_stream(PREFIX).await.unwrap();
    for partition in 0..16 {
        let name = format!("readers-{partition:02}");
        stream.delete_consumer(&name).await.unwrap();
    }
    let next = envelope("b");
    publish(&broker, &next).await;
    // The group begins anew: what is retained comes again, perhaps at the same time, and the inbox knows it.
    while !take(subscription.as_mut()).await.contains(&next.message) {}
}
