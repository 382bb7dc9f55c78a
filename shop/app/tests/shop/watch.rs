//! Watching an order: server-sent events, from the start or from where one left off.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use tokio::time::timeout;

use crate::support::{Caller, Shop, item};

const WATCHED_WITHIN: Duration = Duration::from_secs(20);

#[derive(Debug, Default, Clone, PartialEq)]
struct Event {
    id: String,
    kind: String,
    data: String,
}

#[tokio::test]
async fn a_watcher_is_told_everything_that_happens_to_an_order() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let id = ada.place(&item("MUG-BLUE", 1)).await.text_at("/id");

    let events = watch(&ada, &id, None, 2).await;

    assert_eq!(versions(&events), ["0", "1"]);
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["order_placed", "order_confirmed"]);
    for event in &events {
        let data: Value = serde_json::from_str(&event.data).unwrap();
        assert!(data.is_object(), "{event:?}");
    }
}

#[tokio::test]
async fn a_watcher_who_comes_back_misses_nothing_and_hears_nothing_twice() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let id = ada.order(&item("MUG-BLUE", 1)).await.text_at("/id");
    let whole = watch(&ada, &id, None, 2).await;

    let rest = watch(&ada, &id, Some("0"), 1).await;
    assert_eq!(rest, whole[1..]);

    let later = tokio::join!(watch(&ada, &id, Some("1"), 1), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        ada.post(&format!("/orders/{id}/cancel"))
            .send()
            .await
            .expect(200)
    });
    assert_eq!(versions(&later.0), ["2"]);
    assert_eq!(later.0[0].kind, "order_cancelled");
}

#[tokio::test]
async fn a_watch_goes_on_after_the_server_was_killed() {
    let mut shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let id = ada.order(&item("MUG-BLUE", 1)).await.text_at("/id");
    let seen = watch(&ada, &id, None, 2).await;
    shop.process.kill().unwrap();
    shop.restart().await;
    ada.post(&format!("/orders/{id}/cancel"))
        .send()
        .await
        .expect(200);
    let last = seen.last().unwrap().id.clone();
    assert_eq!(versions(&watch(&ada, &id, Some(&last), 1).await), ["2"]);
}

#[tokio::test]
async fn a_watcher_who_accepts_no_events_is_told_so() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let id = ada.order(&item("MUG-BLUE", 1)).await.text_at("/id");
    let path = format!("/orders/{id}/watch");
    ada.get(&path)
        .header("accept", "image/png")
        .send()
        .await
        .expect_error(406, "NOT_ACCEPTABLE");
}

/// The next `count` events.
async fn watch(caller: &Caller, order: &str, after: Option<&str>, count: usize) -> Vec<Event> {
    let mut ask = caller
        .get(&format!("/orders/{order}/watch"))
        .header("accept", "text/event-stream");
    if let Some(after) = after {
        ask = ask.header("last-event-id", after);
    }
    let response = ask.open().await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let mut bytes = response.bytes_stream();
    let mut text = String::new();
    let enough = async {
        while parse(&text).len() < count {
            let chunk = bytes.next().await.expect("the stream ended early").unwrap();
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    if timeout(WATCHED_WITHIN, enough).await.is_err() {
        panic!("not {count} events within {WATCHED_WITHIN:?}:\n{text}");
    }
    parse(&text)
}

fn parse(text: &str) -> Vec<Event> {
    let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
    let blocks = whole.split("\n\n").map(|block| {
        let mut event = Event::default();
        for line in block.lines() {
            match line.split_once(':') {
                Some(("id", value)) => value.trim().clone_into(&mut event.id),
                Some(("event", value)) => value.trim().clone_into(&mut event.kind),
                Some(("data", value)) => event.data.push_str(value.trim()),
                _ => {}
            }
        }
        event
    });
    blocks.filter(|event| !event.id.is_empty()).collect()
}

fn versions(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.id.as_str()).collect()
}
