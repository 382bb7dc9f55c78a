//! One helper drives the API; the tests are data.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use shop_contracts::{CommitStock, ReleaseStock, ReserveStock, StockItem};
use shop_inventory::{Dependencies, Inventory, ProductCache};
use shop_kernel::OrderId;
use stanchion::auth::{Permissions, Principal};
use stanchion::eventsourcing::{
    Announcement, Append, EventLog, Expected, Filter, MemoryLog, Metadata, NewEvent, Position,
    Relay, StreamId, UnknownEvent,
};
use stanchion::messaging::{ConsumerLimits, MemoryBroker, Subscriber};
use stanchion::server::{Authenticate, AuthenticateError, Running, ServerSettings, Service};
use stanchion::sql::{Db, Mode, SqlConsumerStore, SqlInbox, SqlLog, migrate};
use stanchion::telemetry::Metrics;

/// Longer than a test lasts: what is old stays old.
const NEAR_FOR: Duration = Duration::from_secs(600);

/// Longer than anything in these tests takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service with inventory, and orders' voice.
pub(crate) struct Shop {
    _running: Running,
    base: String,
    client: Client,
    orders: Arc<MemoryLog>,
    log: Arc<dyn EventLog>,
}

pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answered {
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn data(&self) -> &Value {
        &self.body["data"]
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let db = Db::memory("inventory").unwrap();
        migrate(&db, &[shop_inventory::migrations()], Mode::Auto)
            .await
            .unwrap();
        let log: Arc<dyn EventLog> = Arc::new(SqlLog::open(db.clone()).await.unwrap());
        let broker = Arc::new(MemoryBroker::new());
        let orders = Arc::new(MemoryLog::new());
        let near = ProductCache::new(1_000, NEAR_FOR, None, &Metrics::default());
        let inventory = Inventory::new(Dependencies {
            log: log.clone(),
            inbox: Arc::new(SqlInbox::new(db.clone())),
            consumers: Arc::new(SqlConsumerStore::new(db.clone())),
            db,
            broker: broker.clone() as Arc<dyn Subscriber>,
            asks: None,
            limits: ConsumerLimits::default(),
            metrics: Metrics::default(),
            near: Some(near),
        });
        broker.register(Arc::new(shop_inventory::relay(log.clone())));
        broker.register(Arc::new(Relay::new("orders", orders.clone(), commands)));
        let settings = ServerSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            lame_duck: Some(Duration::ZERO),
            ..ServerSettings::default()
        };
        let service = Service::new(settings)
            .tokens(Arc::new(TestTokens))
            .mount(inventory.module());
        let running = service.start().await.unwrap();
        let base = format!("http://{}/api/v1", running.addresses().public.unwrap());
        Self {
            _running: running,
            base,
            client: Client::new(),
            orders,
            log,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.ask(Method::GET, path, &[], None).await
    }

    pub(crate) async fn staff(&self, method: Method, path: &str, body: Value) -> Answered {
        self.ask(
            method,
            path,
            &[("authorization", "Bearer inventory:write")],
            Some(body),
        )
        .await
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answered {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.timeout(PATIENCE).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answered {
            status,
            headers,
            body,
        }
    }

    pub(crate) async fn create(&self, sku: &str, available: i64) -> Answered {
        self.staff(Method::POST, "/products", product(sku, available))
            .await
    }

    pub(crate) async fn available(&self, sku: &str) -> i64 {
        self.get(&format!("/products/{sku}")).await.data()["available"]
            .as_i64()
            .unwrap()
    }

    /// What orders says: `reserve`, `commit`, `release`.
    pub(crate) async fn say(&self, kind: &str, data: Value) {
        let order = data["order_id"].as_str().unwrap().to_owned();
        let event = NewEvent {
            id: stanchion::runtime::id::new_v7(),
            kind: kind.into(),
            data: data.into(),
        };
        let append = Append {
            stream: StreamId::new("order", order),
            expected: Expected::Any,
            events: vec![event],
            inbox: None,
            timers: vec![],
            metadata: Metadata::new(None),
        };
        self.orders.append(append).await.unwrap();
    }

    pub(crate) async fn reserve(&self, order: OrderId, items: &[(&str, i64)], seconds: i64) {
        let until = stanchion::runtime::clock::now() + jiff::SignedDuration::from_secs(seconds);
        let item = |(sku, quantity): &(&str, i64)| StockItem {
            sku: sku.parse().unwrap(),
            quantity: *quantity,
        };
        let items = items.iter().map(item).collect();
        let reserve = ReserveStock {
            order_id: order,
            items,
            until,
        };
        self.say("reserve", serde_json::to_value(reserve).unwrap())
            .await;
    }

    pub(crate) async fn commit(&self, order_id: OrderId) {
        self.say(
            "commit",
            serde_json::to_value(CommitStock { order_id }).unwrap(),
        )
        .await;
    }

    pub(crate) async fn release(&self, order_id: OrderId) {
        self.say(
            "release",
            serde_json::to_value(ReleaseStock { order_id }).unwrap(),
        )
        .await;
    }

    /// Waits until so many events of that type are in inventory's log.
    pub(crate) async fn until(&self, kind: &str, count: usize) {
        let seen = async {
            while self.count(kind).await < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = tokio::time::timeout(PATIENCE, seen).await;
        assert!(seen.is_ok(), "fewer than {count} {kind}");
    }

    pub(crate) async fn count(&self, kind: &str) -> usize {
        let all = self
            .log
            .read(Position::START, &Filter::all(), 10_000)
            .await
            .unwrap();
        all.iter().filter(|event| event.kind == kind).count()
    }
}

pub(crate) fn product(sku: &str, available: i64) -> Value {
    let price = json!({"amount": 1250, "currency": "EUR"});
    json!({"sku": sku, "name": format!("The {sku}"), "price": price, "available": available})
}

pub(crate) fn an_order() -> OrderId {
    OrderId(stanchion::runtime::id::new_v7())
}

fn commands(
    recorded: &stanchion::eventsourcing::Recorded,
) -> Result<Vec<Announcement>, UnknownEvent> {
    let data = &recorded.data;
    let unknown = |error: serde_json::Error| UnknownEvent(error.to_string());
    Ok(vec![match recorded.kind.as_str() {
        "reserve" => Announcement::of::<ReserveStock>(&data.decode().map_err(unknown)?),
        "commit" => Announcement::of::<CommitStock>(&data.decode().map_err(unknown)?),
        _ => Announcement::of::<ReleaseStock>(&data.decode().map_err(unknown)?),
    }])
}

/// A token is a scope; everybody is the same somebody.
struct TestTokens;

#[async_trait]
impl Authenticate for TestTokens {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        let permissions = Permissions::parse(token).map_err(|_| AuthenticateError::Invalid)?;
        let id = uuid::Uuid::from_u128(1);
        Ok(Principal::user(id, id, permissions))
    }
}
