//! One helper drives the API; the tests are data.

mod orders;
mod wiring;

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shop_sandbox::{Running as Sandbox, Settings};
use stanchion::eventsourcing::{EventLog, Filter, MemoryLog, MemoryVault, Relay, StreamId};
use stanchion::messaging::{Feed, MemoryBroker, Message, Place};
use stanchion::runtime::id;
use stanchion::server::{Running, ServerSettings, Service};
use stanchion::sql::Db;
use tempfile::TempDir;

pub(crate) use self::orders::Asked;
use self::orders::announce;
use self::wiring::{TestTokens, dependencies};

/// Longer than anything in these tests takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A service with payments, a gateway, and somebody who plays orders.
pub(crate) struct Shop {
    pub(crate) sandbox: Sandbox,
    pub(crate) db: Db,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) vault: Arc<MemoryVault>,
    running: Running,
    orders: Arc<MemoryLog>,
    base: String,
    client: Client,
    _folder: TempDir,
}

/// Somebody with a token.
pub(crate) struct Who(String);

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        stanchion::telemetry::install_crypto();
        let folder = TempDir::new().unwrap();
        let sandbox = shop_sandbox::Sandbox::start(Settings::default())
            .await
            .unwrap();
        let broker = Arc::new(MemoryBroker::new());
        let orders = Arc::new(MemoryLog::new());
        let vault = Arc::new(MemoryVault::default());
        let dependencies = dependencies(&folder, &broker, &sandbox, &vault).await;
        let (db, log) = (dependencies.db.clone(), Arc::clone(&dependencies.log));
        broker.register(Arc::new(shop_payments::relay(Arc::clone(&log))));
        broker.register(Arc::new(Relay::new("orders", orders.clone(), announce)));
        let settings = ServerSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            lame_duck: Some(Duration::ZERO),
            ..ServerSettings::default()
        };
        let service = Service::new(settings).tokens(Arc::new(TestTokens));
        let service = service.mount(shop_payments::module(dependencies).unwrap());
        let running = service.start().await.unwrap();
        let base = format!("http://{}/api/v1", running.addresses().public.unwrap());
        sandbox.deliver_to(format!("{base}/payments/webhook"));
        let client = Client::new();
        Self {
            sandbox,
            db,
            log,
            vault,
            running,
            orders,
            base,
            client,
            _folder: folder,
        }
    }

    /// Waits until the payment has that status; the payment.
    pub(crate) async fn becomes(&self, asked: Asked, status: &str) -> Value {
        let path = format!("/payments/{}", asked.payment_id);
        let staff = Who::staff();
        self.eventually(status, async || {
            let seen = self.get(&staff, &path).await;
            (seen.body["data"]["status"] == status).then(|| seen.body["data"].clone())
        })
        .await
    }

    /// Waits until orders was told these, in this order.
    pub(crate) async fn told(&self, asked: Asked, expected: &[&str]) {
        let what = format!("{expected:?}");
        let key = asked.order_id.to_string();
        self.eventually(&what, async || {
            let told = self.announced().await;
            let own = told.into_iter().filter(|message| message.key == key);
            let names: Vec<String> = own.map(|message| message.contract).collect();
            (names == expected).then_some(())
        })
        .await;
    }

    /// Everything payments announced.
    pub(crate) async fn announced(&self) -> Vec<Message> {
        let relay = shop_payments::relay(Arc::clone(&self.log));
        relay.read(Place::START, 1_000).await.unwrap().messages
    }

    pub(crate) async fn eventually<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let end = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < end {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("never: {what}");
    }

    pub(crate) async fn get(&self, who: &Who, path: &str) -> Answered {
        self.send(self.request(Method::GET, who, path)).await
    }

    /// Asks for a refund with a key of its own.
    pub(crate) async fn refund(&self, asked: Asked, body: &Value) -> Answered {
        let key = id::new_v7().to_string();
        self.refund_with(&key, &Who::staff(), asked, body).await
    }

    pub(crate) async fn refund_with(
        &self,
        key: &str,
        who: &Who,
        asked: Asked,
        body: &Value,
    ) -> Answered {
        let path = format!("/payments/{}/refunds", asked.payment_id);
        let request = self.request(Method::POST, who, &path);
        self.send(request.header("idempotency-key", key).json(body))
            .await
    }

    pub(crate) fn request(&self, method: Method, who: &Who, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        if who.0.is_empty() {
            request
        } else {
            request.bearer_auth(&who.0)
        }
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answered {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answered {
            status,
            headers,
            body,
        }
    }

    /// How the gateway has the only intent it knows.
    pub(crate) async fn gateway(&self, method: Method, path: &str) -> Answered {
        let url = format!("{}{path}", self.sandbox.url);
        let key = self.sandbox.key.expose_secret();
        self.send(self.client.request(method, url).bearer_auth(key))
            .await
    }

    /// The intent of a payment, as its events name it.
    pub(crate) async fn intent(&self, asked: Asked) -> String {
        let stream = StreamId::new("payment", asked.payment_id.to_string());
        let events = self
            .log
            .read_stream(&stream, stanchion::eventsourcing::Version(0), 100);
        let events = events.await.unwrap();
        let contents = events.iter().map(|event| event.data.value().unwrap());
        let mut named =
            contents.filter_map(|content| content["intent"].as_str().map(str::to_owned));
        named.next().unwrap()
    }

    /// Everything in the log and everything announced, as text.
    pub(crate) async fn stored(&self) -> String {
        let (start, all) = (stanchion::eventsourcing::Position::START, Filter::all());
        let entries = self.log.read(start, &all, 10_000).await.unwrap();
        let data: Vec<_> = entries.iter().map(|entry| &entry.data).collect();
        format!("{data:?} {:?}", self.announced().await)
    }

    pub(crate) async fn stop(mut self) {
        self.running.stop();
        let stopped = self.running.stopped().await;
        assert_eq!(stopped.code(), 0);
        self.sandbox.stop().await;
    }
}

impl Who {
    pub(crate) fn staff() -> Self {
        Self(format!("{}/payment:read payment:refund", id::new_v7()))
    }

    pub(crate) fn customer(of: Asked) -> Self {
        Self(format!("{}/", of.customer_id))
    }

    pub(crate) fn stranger() -> Self {
        Self(format!("{}/", id::new_v7()))
    }

    pub(crate) fn nobody() -> Self {
        Self(String::new())
    }
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

pub(crate) fn eur(amount: i64) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}
