use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Response;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Shop, Who, id};

/// One server-sent event.
#[derive(Debug, PartialEq)]
struct Seen {
    id: String,
    kind: String,
    data: Value,
}

/// A stream being read.
struct Watch {
    response: Response,
    text: String,
}

impl Watch {
    async fn open(shop: &Shop, who: &Who, order: &Value, last: Option<&str>) -> Self {
        let mut asked = shop.get(who, &format!("/orders/{}/watch", id(order)));
        if let Some(last) = last {
            asked = asked.header("last-event-id", last);
        }
        let response = asked.open().await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            text: String::new(),
        }
    }

    /// The next event; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Seen> {
        tokio::time::timeout(PATIENCE, self.read())
            .await
            .expect("an event or the end")
    }

    async fn read(&mut self) -> Option<Seen> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(seen) = parse(&event) {
                    return Some(seen);
                }
                continue;
            }
            let chunk = self.response.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

/// An event; a heartbeat is none.
fn parse(text: &str) -> Option<Seen> {
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    Some(Seen {
        id: field("id:")?.to_owned(),
        kind: field("event:")?.to_owned(),
        data: serde_json::from_str(field("data:")?).unwrap(),
    })
}

#[tokio::test]
async fn a_history_tells_what_happened_oldest_first() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let order = shop.settled(&customer, "SCARCE").await;
    let path = format!("/orders/{}/history", id(&order));
    let history = shop.get(&customer, &path).send().await;
    let events = history.data().as_array().unwrap();
    assert_eq!(history.status, 200);
    let placed = json!({
        "version": 0, "type": "order_placed", "at": events[0]["at"],
        "data": {
            "status": "pending", "customer_id": customer.id, "items": order["items"],
            "total": order["total"], "payment_id": events[0]["data"]["payment_id"],
        },
    });
    let rejected = json!({
        "version": 1, "type": "order_rejected", "at": events[1]["at"],
        "data": {"status": "rejected", "reason": "OUT_OF_STOCK"},
    });
    assert_eq!(*events, [placed, rejected]);
    assert!(!history.body.to_string().contains("pm_card"));
}

#[tokio::test]
async fn a_watch_tells_what_happened_and_what_happens() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let order = shop.placed(&customer, "SLOW").await;
    let mut watch = Watch::open(&shop, &customer, &order, None).await;
    let placed = watch.next().await.unwrap();
    assert_eq!(
        (placed.id.as_str(), placed.kind.as_str()),
        ("0", "order_placed")
    );
    assert_eq!(placed.data["data"]["items"], order["items"]);
    shop.post(&customer, &format!("/orders/{}/cancel", id(&order)))
        .send()
        .await;
    let cancelled = watch.next().await.unwrap();
    assert_eq!(
        (cancelled.id.as_str(), cancelled.kind.as_str()),
        ("1", "order_cancelled")
    );
    assert_eq!(cancelled.data["data"], json!({"status": "cancelled"}));
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn a_watch_goes_on_after_the_last_event_that_was_seen() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let order = shop.settled(&customer, "SCARCE").await;
    let mut watch = Watch::open(&shop, &customer, &order, Some("0")).await;
    assert_eq!(watch.next().await.unwrap().kind, "order_rejected");
    assert_eq!(watch.next().await, None);
    let mut nothing_left = Watch::open(&shop, &customer, &order, Some("1")).await;
    assert_eq!(nothing_left.next().await, None);
}

#[tokio::test]
async fn a_confirmed_order_is_watched_on_since_it_can_be_cancelled() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let order = shop.settled(&customer, "BEANS").await;
    let mut watch = Watch::open(&shop, &customer, &order, Some("1")).await;
    shop.post(&customer, &format!("/orders/{}/cancel", id(&order)))
        .send()
        .await;
    assert_eq!(watch.next().await.unwrap().kind, "order_cancelled");
}

#[tokio::test]
async fn a_watch_ends_with_the_token() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let order = shop.placed(&customer, "SLOW").await;
    let end = stanchion::runtime::clock::now() + SignedDuration::from_secs(2);
    let mut watch = Watch::open(&shop, &customer.until(end), &order, Some("0")).await;
    assert_eq!(watch.next().await, None);
    assert!(stanchion::runtime::clock::now() >= end);
}

#[tokio::test]
async fn a_watch_ends_when_the_service_stops() {
    let (mut shop, customer) = (Shop::open().await, Who::customer());
    let order = shop.placed(&customer, "SLOW").await;
    let mut watch = Watch::open(&shop, &customer, &order, Some("0")).await;
    shop.running.stop();
    assert_eq!(watch.next().await, None);
    let stopped = tokio::time::timeout(Duration::from_secs(20), shop.running.stopped()).await;
    assert_eq!(stopped.unwrap().code(), 0);
}
