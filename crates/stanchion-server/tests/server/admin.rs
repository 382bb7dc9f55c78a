use std::net::SocketAddr;
use std::sync::Arc;

use stanchion_eventsourcing::MemoryLog;
use stanchion_messaging::{
    AfterLastAttempt, ConsumerStore, LogId, MemoryConsumerStore, Message, Metadata, Origin, Parked,
    ParkedState, Position,
};
use stanchion_server::{AdminSettings, Module, Running};
use uuid::Uuid;

use super::shop::{service, settings};
use super::sockets::Line;

pub fn letter(id: u128) -> Parked {
    let now = stanchion_runtime::clock::now();
    let message = Message {
        id: Uuid::from_u128(id),
        contract: "orders.order_placed.v1".into(),
        key: "k".into(),
        payload: serde_json::json!({}),
        origin: Origin {
            log: LogId(Uuid::nil()),
            position: Position(1),
        },
        metadata: Metadata::new(None),
        at: now,
    };
    Parked {
        consumer: "reserve".into(),
        message,
        state: ParkedState::Dead,
        attempts: 5,
        under_way: false,
        note: None,
        due_at: now,
        reason: "no stock".into(),
        parked_at: now,
    }
}

async fn start() -> (Running, SocketAddr, Arc<MemoryConsumerStore>) {
    let store = Arc::new(MemoryConsumerStore::default());
    store.park(&letter(1)).await.unwrap();
    store.park(&letter(2)).await.unwrap();
    let module = Module::new("inventory")
        .log(Arc::new(MemoryLog::new()))
        .consumers(store.clone());
    let admin = AdminSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..AdminSettings::default()
    };
    let running = service().mount(module).admin(admin).start().await.unwrap();
    let address = running.addresses().admin.unwrap();
    (running, address, store)
}

async fn ask(address: SocketAddr, line: &str) -> (String, String) {
    let mut connection = Line::open(address).await;
    connection
        .say(&format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"
        ))
        .await;
    connection.answer().await.unwrap()
}

#[tokio::test]
async fn the_operator_sees_metrics_logs_and_routes() {
    let (running, address, _) = start().await;
    let mut public = Line::open(running.addresses().public.unwrap()).await;
    public.get("/seen").await;
    public.answer().await.unwrap();
    let (_, metrics) = ask(address, "GET /metrics").await;
    assert!(
        metrics.contains(
            "http_requests_total{method=\"GET\",endpoint=\"/api/v1/seen\",status=\"200\"} 1"
        ),
        "{metrics}"
    );
    assert!(
        metrics.contains("stanchion_server_connections"),
        "{metrics}"
    );
    let (_, logs) = ask(address, "GET /logs").await;
    assert!(
        logs.contains("\"module\":\"inventory\"") && logs.contains("\"head\":0"),
        "{logs}"
    );
    let (_, routes) = ask(address, "GET /routes").await;
    assert!(
        routes.contains("thing:write") && routes.contains("/api/v1/things/{id}"),
        "{routes}"
    );
    let mut public = Line::open(running.addresses().public.unwrap()).await;
    public
        .say("GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    assert!(
        public.answer().await.unwrap().0.starts_with("http/1.1 404"),
        "never on the public port"
    );
}

#[tokio::test]
async fn dead_letters_are_listed_redriven_and_discarded() {
    let (_running, address, _) = start().await;
    let (_, listed) = ask(address, "GET /dead-letters?module=inventory&state=dead").await;
    assert_eq!(listed.matches("no stock").count(), 2, "{listed}");
    let path = |id: u128, action: &str| {
        format!(
            "POST /dead-letters/inventory/reserve/{}/{action}",
            Uuid::from_u128(id)
        )
    };
    assert!(
        ask(address, &path(1, "redrive"))
            .await
            .0
            .starts_with("http/1.1 204")
    );
    assert!(
        ask(address, &path(2, "discard"))
            .await
            .0
            .starts_with("http/1.1 204")
    );
    assert!(
        ask(address, &path(2, "discard"))
            .await
            .0
            .starts_with("http/1.1 404")
    );
    let (_, listed) = ask(address, "GET /dead-letters?state=dead").await;
    assert_eq!(listed.matches("no stock").count(), 0, "{listed}");
}

/// A contract that was taken back: no version will ever know it.
#[tokio::test]
async fn what_waits_for_an_upgrade_that_never_comes_is_discarded_and_its_key_goes_on() {
    let (_running, address, store) = start().await;
    let unknown = Parked {
        consumer: "settle".into(),
        state: ParkedState::Unknown,
        ..letter(3)
    };
    let behind = Parked {
        state: ParkedState::Retry,
        message: letter(4).message,
        ..unknown.clone()
    };
    store.park(&unknown).await.unwrap();
    store.wait_behind(&behind).await.unwrap();
    let act = async |action: &str| {
        let id = unknown.message.id;
        let line = format!("POST /dead-letters/inventory/settle/{id}/{action}");
        ask(address, &line).await.0
    };
    let due = async || {
        let (now, waits) = (stanchion_runtime::clock::now(), AfterLastAttempt::KeyWaits);
        store.due("settle", now, waits, 10).await.unwrap()
    };
    assert!(act("redrive").await.starts_with("http/1.1 404"));
    assert!(due().await.is_empty());
    assert!(act("discard").await.starts_with("http/1.1 204"));
    assert!(store.find(unknown.message.id).await.unwrap().is_empty());
    assert_eq!(due().await, [behind]);
    assert!(act("discard").await.starts_with("http/1.1 404"));
}

/// What a handler asks to be told later for ever, such as the poison of a process that is paused.
#[tokio::test]
async fn what_is_tried_again_and_again_is_withdrawn_and_its_key_goes_on() {
    let (_running, address, store) = start().await;
    let tried = Parked {
        consumer: "settle".into(),
        state: ParkedState::Retry,
        ..letter(3)
    };
    let behind = Parked {
        message: letter(4).message,
        ..tried.clone()
    };
    store.park(&tried).await.unwrap();
    store.wait_behind(&behind).await.unwrap();
    let act = async |action: &str| {
        let id = tried.message.id;
        let line = format!("POST /dead-letters/inventory/settle/{id}/{action}");
        ask(address, &line).await.0
    };
    let begun = Parked {
        under_way: true,
        ..tried.clone()
    };
    for one in [&begun, &tried] {
        assert!(store.park_again(one).await.unwrap());
        assert!(act("discard").await.starts_with("http/1.1 404"));
        let (status, gone) = match one.under_way {
            true => ("http/1.1 404", false),
            false => ("http/1.1 204", true),
        };
        assert!(act("withdraw").await.starts_with(status));
        let found = store.find(tried.message.id).await.unwrap();
        assert_eq!(found.is_empty(), gone);
    }
    let (now, waits) = (stanchion_runtime::clock::now(), AfterLastAttempt::KeyWaits);
    let due = store.due("settle", now, waits, 10).await.unwrap();
    assert_eq!(due, [behind]);
    // A dead letter waits for nothing.
    let dead = Uuid::from_u128(1);
    let line = format!("POST /dead-letters/inventory/reserve/{dead}/withdraw");
    assert!(ask(address, &line).await.0.starts_with("http/1.1 404"));
}

#[tokio::test]
async fn a_dead_letter_is_found_by_its_id_however_many_are_older() {
    let (_running, address, store) = start().await;
    for id in 3..=1_002 {
        store.park(&letter(id)).await.unwrap();
    }
    let last = Uuid::from_u128(1_002);
    let (_, listed) = ask(address, "GET /dead-letters").await;
    assert_eq!(listed.matches("no stock").count(), 1_000, "the oldest");
    assert!(!listed.contains(&last.to_string()));
    let find = async |more: &str| {
        let (_, found) = ask(address, &format!("GET /dead-letters?message={last}{more}")).await;
        (
            found.matches("no stock").count(),
            found.contains(&last.to_string()),
        )
    };
    assert_eq!(find("").await, (1, true));
    assert_eq!(
        find("&module=inventory&consumer=reserve&state=dead").await,
        (1, true)
    );
    for other in ["&state=retry", "&consumer=other", "&module=orders"] {
        assert_eq!(find(other).await, (0, false), "{other}");
    }
}

#[test]
fn every_path_of_the_port_is_on_its_page() {
    let page = include_str!("../../../../docs/guide/operators-port.md");
    let routed = include_str!("../../src/admin/mod.rs")
        .split(".route(")
        .skip(1);
    let paths: Vec<&str> = routed.filter_map(|text| text.split('"').nth(1)).collect();
    assert!(paths.len() > 15, "{paths:?}");
    for path in paths {
        let told = |method| page.contains(&format!("`{method} {path}`"));
        assert!(told("GET") || told("POST"), "nothing is said of {path}");
    }
}

/// As a probe of Kubernetes does, and a scraper: by the pod's address, which no setting names.
#[tokio::test]
async fn who_asks_by_an_address_is_answered() {
    let (_running, address, _) = start().await;
    let mut line = Line::open(address).await;
    line.say("GET /ready HTTP/1.1\r\nhost: 10.244.1.7:9090\r\n\r\n")
        .await;
    assert!(line.answer().await.unwrap().0.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn another_site_s_page_cannot_act() {
    let (_running, address, _) = start().await;
    let mut line = Line::open(address).await;
    line.say("GET /metrics HTTP/1.1\r\nhost: evil.example\r\n\r\n")
        .await;
    assert!(line.answer().await.unwrap().0.starts_with("http/1.1 421"));
    let settings = settings();
    assert!(settings.listen.ip().is_loopback());
}
