//! Publishing: confirmed means there.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stanchion_messaging::{
    DeadLetterFilter, Delivery, Forwarder, Link, MemoryRelayStore, Message, Position, Progress,
    PublishError, RelayStore,
};
use stanchion_runtime::{id, task};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::member::assert_in_order;
use super::stage::{CONTRACT, QUIET, Source, Stage, publish, publish_all, store_id};
use super::{HEADERS, stage};
use crate::conformance::{Case, cases};
use crate::feed::ListedFeed;

const LARGE: usize = 1024 * 1024;

/// More than a frame of AMQP has for all headers.
const LONG_KEY: usize = 200 * 1024;

pub(super) const CASES: &[Case<Stage>] = cases![
    what_is_confirmed_arrives_as_it_went,
    a_message_is_labelled_for_who_looks_at_the_broker,
    a_large_message_arrives,
    a_message_of_a_key_too_long_for_a_header_arrives,
    a_message_over_the_limit_is_refused_at_once_and_the_next_is_not,
    a_message_over_the_limit_is_put_aside_by_its_relay_and_its_key_goes_on,
    messages_over_the_limit_among_many_are_put_aside_alone_and_the_others_are_in_order,
    the_same_transport_id_again_is_confirmed_and_arrives,
    what_is_announced_again_under_a_new_transport_id_arrives_again,
    the_store_is_known_by_the_same_id_to_everybody,
];

async fn what_is_confirmed_arrives_as_it_went(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let mut source = Source::new();
    let mut sent = source.rounds(10, 5);
    let odd = ["", "with blank", "line\nbreak", "dots.and.*.>", "ключ ☃"];
    let payload =
        json!({ "text": "\u{0}\n\"☃\"", "numbers": [1, -2.5, null, 9_007_199_254_740_993_i64] });
    sent.extend(odd.map(|key| source.next_with(key, CONTRACT, payload.clone())));
    publish_all(&client, &sent).await;
    let came = member.take_all(&sent).await;
    assert_in_order(&came);
    for envelope in &sent {
        assert!(came.contains(&envelope.message), "{envelope:?}");
    }
}

async fn a_message_is_labelled_for_who_looks_at_the_broker(stage: Stage) {
    let client = stage.client().await;
    let _member = stage.joined(&client, "readers").await;
    let envelope = Source::new().next("order-7");
    let publishing = Box::pin(publish(&client, &envelope));
    let headers = stage.broker.headers(&stage.prefix, publishing).await;
    let message = &envelope.message;
    let id = message.id.to_string();
    let trace = message.metadata.trace.as_deref().unwrap();
    let wanted = [CONTRACT, "order-7", &id, trace];
    for (header, value) in HEADERS.into_iter().zip(wanted) {
        let found = headers.get(header).map(String::as_str);
        assert_eq!(found, Some(value), "{header} of {headers:?}");
    }
}

async fn a_large_message_arrives(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let payload = json!("x".repeat(LARGE));
    let sent = [Source::new().next_with("large", CONTRACT, payload)];
    publish_all(&client, &sent).await;
    let came = member.take_all(&sent).await;
    assert!(came[0] == sent[0].message, "it came altered");
}

async fn a_message_of_a_key_too_long_for_a_header_arrives(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let key = "k".repeat(LONG_KEY);
    let mut source = Source::new();
    let sent = [
        source.next(&key),
        source.next("after it"),
        source.next(&key),
    ];
    publish_all(&client, &sent).await;
    let came = member.take_all(&sent).await;
    assert!(came[0].key == key || came[1].key == key, "it came altered");
}

async fn a_message_over_the_limit_is_refused_at_once_and_the_next_is_not(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let mut source = Source::new();
    // The limit is known once the broker was spoken to.
    let first = source.next("a");
    publish(&client, &first).await;
    let payload = json!("x".repeat(stage.promises.body_bytes_max + 1));
    let over = source.next_with("b", CONTRACT, payload);
    let begun = Instant::now();
    let refused = client.publisher.publish(&over).await.unwrap_err();
    let took = begun.elapsed();
    assert!(took < stage.promises.confirms_within, "{took:?}");
    let PublishError::Refused(reason) = refused else {
        panic!("it would be tried for ever: {refused}");
    };
    assert!(reason.contains("too large"), "{reason}");
    let sent = [first, source.next("c")];
    publish_all(&client, &sent).await;
    member.take_all(&sent).await;
}

async fn a_message_over_the_limit_is_put_aside_by_its_relay_and_its_key_goes_on(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let mut source = Source::new();
    let large = json!("x".repeat(stage.promises.body_bytes_max + 1));
    let first = source.next("a");
    let over = source.next_with("a", CONTRACT, large);
    let last = source.next("a");
    let feed = Arc::new(ListedFeed::new("suite", first.message.origin.log));
    for envelope in [&first, &over, &last] {
        feed.push(envelope.message.clone());
    }
    let rows = Arc::new(MemoryRelayStore::default());
    let (publisher, store) = (Arc::clone(&client.publisher), Arc::clone(&rows));
    let relay = Forwarder::new(feed, publisher, store);
    let relay = task::spawn("relay", relay.run(CancellationToken::new()));
    let prev = loop {
        let Delivery { messages, progress } = member.delivered().await;
        let beyond = |it: &Message| it.id == over.message.id;
        assert!(!messages.iter().any(beyond), "it was delivered");
        let Progress::Receipt { receipt, links } = progress else {
            panic!("a broker gives receipts");
        };
        member.acknowledge_receipt(receipt).await;
        if messages.iter().any(|it| it.id == last.message.id) {
            let of_last = |it: &&Link| it.position == last.message.origin.position;
            break links.iter().find(of_last).map(|it| it.prev);
        }
    };
    relay.abort();
    assert_eq!(prev, Some(first.message.origin.position), "a hole for ever");
    let filter = DeadLetterFilter {
        limit: 10,
        ..DeadLetterFilter::default()
    };
    let letters = rows.letters().list(&filter).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].message.id, over.message.id);
}

/// They wait together, so a relay hands them over at once.
async fn messages_over_the_limit_among_many_are_put_aside_alone_and_the_others_are_in_order(
    stage: Stage,
) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let mut source = Source::new();
    let large = json!("x".repeat(stage.promises.body_bytes_max + 1));
    let (mut wanted, mut over) = (Vec::new(), Vec::new());
    let mut feed = None;
    for number in 0..16 {
        let (envelope, of_it) = match number {
            3 | 10 => (source.next_with("a", CONTRACT, large.clone()), &mut over),
            _ => (source.next("a"), &mut wanted),
        };
        of_it.push(envelope.message.id);
        let log = envelope.message.origin.log;
        let feed = feed.get_or_insert_with(|| Arc::new(ListedFeed::new("suite", log)));
        feed.push(envelope.message);
    }
    let rows = Arc::new(MemoryRelayStore::default());
    let (publisher, store) = (Arc::clone(&client.publisher), Arc::clone(&rows));
    let relay = Forwarder::new(feed.unwrap(), publisher, store);
    let relay = task::spawn("relay", relay.run(CancellationToken::new()));
    let (mut seen, mut last) = (Vec::new(), Position::START);
    while seen.len() < wanted.len() {
        let Delivery { messages, progress } = member.delivered().await;
        let Progress::Receipt { receipt, links } = progress else {
            panic!("a broker gives receipts");
        };
        for (message, link) in messages.iter().zip(links) {
            // What went with one that was refused comes again; beacons are nobody's messages.
            if wanted.contains(&message.id) && !seen.contains(&message.id) {
                assert!(link.prev <= last, "a hole before {link:?}: {last}");
                last = link.position;
                seen.push(message.id);
            }
            assert!(!over.contains(&message.id), "it was delivered");
        }
        member.acknowledge_receipt(receipt).await;
    }
    assert_eq!(seen, wanted);
    relay.abort();
    let filter = DeadLetterFilter {
        limit: 10,
        ..DeadLetterFilter::default()
    };
    let letters = rows.letters().list(&filter).await.unwrap();
    let letters: Vec<_> = letters.iter().map(|it| it.message.id).collect();
    assert_eq!(letters, over);
}

async fn the_same_transport_id_again_is_confirmed_and_arrives(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let sent = Source::new().rounds(3, 1);
    for _ in 0..3 {
        publish_all(&client, &sent).await;
    }
    member.take_all(&sent).await;
}

async fn what_is_announced_again_under_a_new_transport_id_arrives_again(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let mut sent = Source::new().rounds(3, 1);
    for _ in 0..3 {
        publish_all(&client, &sent).await;
        let came = member.take_all(&sent).await;
        assert!(came.len() >= sent.len());
        member.quiet(QUIET / 4).await;
        for envelope in &mut sent {
            envelope.transport = id::new_v7();
        }
    }
}

async fn the_store_is_known_by_the_same_id_to_everybody(stage: Stage) {
    let (one, other) = (stage.client().await, stage.direct().await);
    let known = store_id(&one).await;
    stage::publish(&one, &Source::new().next("a")).await;
    stage.proxy.sever();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(store_id(&one).await, known);
    assert_eq!(store_id(&other).await, known);
}
