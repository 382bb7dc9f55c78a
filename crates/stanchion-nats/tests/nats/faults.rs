//! Faults that are NATS' own: lost confirmations and acknowledgements, repeats, members that end, servers that are away or frozen.

use std::time::Duration;

use stanchion_messaging::{Progress, Publisher, Subscription};
use stanchion_nats::NatsSettings;
use stanchion_runtime::id;
use stanchion_testing::proxy::{Cut, FaultProxy};
use stanchion_testing::servers::Nats;
use tokio::time::{Instant, timeout};

#[cfg(target_os = "linux")]
use super::support::processor;
use super::support::{
    LONG, PREFIX, bare, connect, envelope, publish, reading, settings, stored, subscribe, take,
};

async fn nothing_comes(subscription: &mut dyn Subscription) {
    let next = timeout(Duration::from_millis(600), subscription.next()).await;
    assert!(next.is_err(), "{next:?}");
}

fn impatient(proxy: &FaultProxy) -> NatsSettings {
    NatsSettings {
        publish_timeout: Duration::from_millis(500),
        ..settings(proxy.address(), PREFIX)
    }
}

/// B2 and B3: the server has the message, the publisher never hears of it, and says it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_confirmation_costs_a_repeat_and_no_second_message() {
    let Some(server) = Nats::required() else {
        return;
    };
    let proxy = FaultProxy::start(server.address()).unwrap();
    let (broker, direct) = (
        connect(&impatient(&proxy)).await,
        bare(server.address()).await,
    );
    let mut subscription = subscribe(&connect(&settings(server.address(), PREFIX)).await).await;
    publish(&broker, &envelope("first")).await;
    take(subscription.as_mut()).await;
    let mut lost = 0;
    for number in 0..5 {
        let envelope = envelope(&format!("key-{number}"));
        let pattern = envelope.message.id.to_string();
        proxy.cut(Cut::Reply(0), pattern.as_bytes());
        lost += u32::from(broker.publish(&envelope).await.is_err());
        assert!(!proxy.armed());
        publish(&broker, &envelope).await;
        assert_eq!(stored(&direct, PREFIX).await, 2 + number);
        let came = take(subscription.as_mut()).await;
        assert_eq!(came, [envelope.message]);
    }
    assert!(lost > 0, "no confirmation was lost");
    assert!(proxy.counts().cut_replies >= 5);
    nothing_comes(subscription.as_mut()).await;
}

/// B3: what the operator announces again is no repeat.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_success_and_a_redrive_is_another_message() {
    let Some(server) = Nats::required() else {
        return;
    };
    let broker = connect(&settings(server.address(), PREFIX)).await;
    let direct = bare(server.address()).await;
    let mut one = envelope("a");
    for _ in 0..3 {
        broker.publish(&one).await.unwrap();
    }
    assert_eq!(stored(&direct, PREFIX).await, 1);
    one.transport = id::new_v7();
    broker.publish(&one).await.unwrap();
    assert_eq!(stored(&direct, PREFIX).await, 2);
    let mut subscription = subscribe(&broker).await;
    let came = [
        take(subscription.as_mut()).await,
        take(subscription.as_mut()).await,
    ];
    assert_eq!(came, [[one.message.clone()], [one.message]]);
}

/// A lost acknowledgement: the same message again, not the next one, and then the next one.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_acknowledgement_costs_a_redelivery() {
    let Some(server) = Nats::required() else {
        return;
    };
    let proxy = FaultProxy::start(server.address()).unwrap();
    let broker = connect(&impatient(&proxy)).await;
    let mut subscription = subscribe(&broker).await;
    let direct = connect(&settings(server.address(), PREFIX)).await;
    let sent = [envelope("a"), envelope("a")];
    for envelope in &sent {
        direct.publish(envelope).await.unwrap();
    }
    let delivery = subscription.next().await.unwrap();
    let Progress::Receipt { receipt, .. } = delivery.progress else {
        panic!("a receipt");
    };
    // The server never sees it, nor what would be sent over the next connection.
    proxy.cut(Cut::Turn(0), b"+nxt");
    proxy.refuse(true);
    subscription.acknowledge(receipt).await.unwrap();
    cut_by(&proxy).await;
    drop(subscription);
    let mut subscription = subscribe(&direct).await;
    for envelope in &sent {
        let came = take(subscription.as_mut()).await;
        assert_eq!(came, std::slice::from_ref(&envelope.message));
    }
}

/// With the connection it was lost, and over the next one it is said again: nobody waits for what the server would do.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_acknowledgement_is_said_again_over_the_next_connection() {
    let Some(server) = Nats::required() else {
        return;
    };
    let proxy = FaultProxy::start(server.address()).unwrap();
    let patient = NatsSettings {
        // Longer than anybody waits here.
        ack_wait: LONG * 4,
        ..settings(proxy.address(), PREFIX)
    };
    let broker = connect(&patient).await;
    let mut subscription = subscribe(&broker).await;
    let direct = connect(&settings(server.address(), PREFIX)).await;
    let sent = [envelope("a"), envelope("a")];
    for envelope in &sent {
        direct.publish(envelope).await.unwrap();
    }
    let delivery = subscription.next().await.unwrap();
    assert_eq!(delivery.messages, std::slice::from_ref(&sent[0].message));
    let Progress::Receipt { receipt, .. } = delivery.progress else {
        panic!("a receipt");
    };
    proxy.cut(Cut::Turn(0), b"+nxt");
    subscription.acknowledge(receipt).await.unwrap();
    cut_by(&proxy).await;
    let came = take(subscription.as_mut()).await;
    assert_eq!(came, std::slice::from_ref(&sent[1].message));
}

/// Waits until it has cut what it was to cut.
async fn cut_by(proxy: &FaultProxy) {
    let cut = timeout(LONG, async {
        while proxy.armed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    cut.await.expect("what was to be cut never comes");
}

/// What ends its process each time is given up one day; what comes after it is not.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_its_member_each_time_is_given_up_one_day() {
    let Some(server) = Nats::required() else {
        return;
    };
    let settings = NatsSettings {
        deliveries_max: 3,
        ..settings(server.address(), PREFIX)
    };
    let broker = connect(&settings).await;
    let mut subscription = subscribe(&broker).await;
    let sent = [envelope("a"), envelope("a")];
    publish(&broker, &sent[0]).await;
    let partition = sent[0].partition;
    for _ in 0..3 {
        let delivery = timeout(LONG, subscription.next()).await.unwrap().unwrap();
        assert_eq!(delivery.messages, std::slice::from_ref(&sent[0].message));
        assert!(!subscription.gives_up(partition));
        drop(subscription);
        subscription = subscribe(&broker).await;
    }
    for (one, gives_up) in [(&sent[0], true), (&sent[1], false)] {
        publish(&broker, &sent[1]).await;
        let came = take(subscription.as_mut()).await;
        assert_eq!(came, std::slice::from_ref(&one.message));
        assert_eq!(subscription.gives_up(partition), gives_up);
    }
}

/// A member that ends finishes what it has; what comes after that is not kept for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_a_member_takes_no_more_is_anothers_at_once() {
    let Some(server) = Nats::required() else {
        return;
    };
    let settings = NatsSettings {
        // Longer than anybody waits here.
        ack_wait: LONG * 4,
        ..settings(server.address(), PREFIX)
    };
    let broker = connect(&settings).await;
    let mut ending = subscribe(&broker).await;
    let sent = [envelope("a"), envelope("a")];
    publish(&broker, &sent[0]).await;
    let delivery = timeout(LONG, ending.next()).await.unwrap().unwrap();
    assert_eq!(delivery.messages, std::slice::from_ref(&sent[0].message));
    let Progress::Receipt { receipt, .. } = delivery.progress else {
        panic!("a receipt");
    };
    ending.takes_no_more();
    publish(&broker, &sent[1]).await;
    ending.acknowledge(receipt).await.unwrap();
    let mut next_member = subscribe(&broker).await;
    let came = take(next_member.as_mut()).await;
    assert_eq!(came, std::slice::from_ref(&sent[1].message));
    drop(ending);
}

/// Who waits for a server that is away asks for nothing meanwhile, not even the processor.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_wait_for_a_server_that_is_away_is_no_work() {
    const AWAY: Duration = Duration::from_secs(3);
    let Some(mut server) = Nats::required() else {
        return;
    };
    let settings = NatsSettings {
        publish_timeout: AWAY,
        ..settings(server.address(), PREFIX)
    };
    let (broker, mut subscription) = reading(&settings).await;
    server.kill().unwrap();
    while broker.is_connected() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before = processor();
    let next = envelope("b");
    let (published, delivered) =
        tokio::join!(broker.publish(&next), timeout(AWAY, subscription.next()));
    let took = processor() - before;
    assert!(published.is_err() && delivered.is_err());
    // A tenth of the time; a wait that ends at once and begins anew takes all of it.
    assert!(took < 30, "{took} hundredths of a second in {AWAY:?}");
}

/// A consumer's wait is interrupted by whatever else it does.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_interrupted_again_and_again_finds_back_to_its_server() {
    let Some(mut server) = Nats::required() else {
        return;
    };
    let (broker, mut subscription) = reading(&settings(server.address(), PREFIX)).await;
    server.kill().unwrap();
    server.restart().unwrap();
    let next = envelope("a");
    publish(&broker, &next).await;
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < LONG, "it never finds back");
        let waited = timeout(Duration::from_millis(1), subscription.next()).await;
        let Ok(delivery) = waited else { continue };
        let delivery = delivery.unwrap();
        if delivery.messages.contains(&next.message) {
            return;
        }
        // A killed server may have forgotten that it heard of the first.
        let Progress::Receipt { receipt, .. } = delivery.progress else {
            panic!("a receipt");
        };
        subscription.acknowledge(receipt).await.unwrap();
    }
}

/// B10: frozen, not dead: nothing is answered, and everything goes on afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_an_error_within_the_bound_and_no_loss() {
    let Some(mut server) = Nats::required() else {
        return;
    };
    let proxy = FaultProxy::start(server.address()).unwrap();
    let (broker, mut subscription) = reading(&impatient(&proxy)).await;
    server.pause().unwrap();
    let next = envelope("a");
    let begun = Instant::now();
    assert!(broker.publish(&next).await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(broker.store_id().await.is_err());
    server.resume().unwrap();
    publish(&broker, &next).await;
    assert_eq!(take(subscription.as_mut()).await, [next.message]);
}
