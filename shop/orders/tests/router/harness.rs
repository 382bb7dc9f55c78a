//! One helper drives the API; the tests are data.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use shop_orders::{Dependencies, default_step_timeout};
use stanchion::auth::policy::PolicyFile;
use stanchion::auth::{Permissions, Principal};
use stanchion::eventsourcing::{EventLog, Vault};
use stanchion::messaging::{ConsumerLimits, MemoryBroker, Subscriber};
use stanchion::server::{Authenticate, AuthenticateError, Running, ServerSettings, Service};
use stanchion::sql::{
    DatabaseSettings, DatabaseUrl, Db, Mode, SqlConsumerStore, SqlInbox, SqlLog, migrate,
};
use stanchion::telemetry::Metrics;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::catalog::PriceList;
use crate::stand_in::StandIn;
use crate::vault::Keys;

/// Longer than anything in these tests takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A service with orders, and what stands around it.
pub(crate) struct Shop {
    pub(crate) running: Running,
    pub(crate) catalog: Arc<PriceList>,
    pub(crate) vault: Arc<Keys>,
    pub(crate) stand_in: StandIn,
    pub(crate) log: Arc<dyn EventLog>,
    base: String,
    client: Client,
    _folder: TempDir,
}

/// Somebody with a token.
#[derive(Clone)]
pub(crate) struct Who {
    pub(crate) id: Uuid,
    token: String,
}

/// A request in preparation.
pub(crate) struct Asked(RequestBuilder);

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::with_step_timeout(default_step_timeout()).await
    }

    pub(crate) async fn with_step_timeout(step_timeout: Duration) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = TempDir::new().unwrap();
        let broker = Arc::new(MemoryBroker::new());
        let catalog = Arc::new(PriceList::default());
        let vault = Arc::new(Keys::default());
        let dependencies = Dependencies {
            vault: Arc::clone(&vault) as Arc<dyn Vault>,
            ..dependencies(&folder, &broker, &catalog, step_timeout).await
        };
        let stand_in = StandIn::new(Arc::clone(&dependencies.vault));
        let log = Arc::clone(&dependencies.log);
        broker.register(Arc::new(shop_orders::relay(dependencies.log.clone())));
        broker.register(Arc::new(stand_in.relay()));
        let acting = stand_in.consumer(broker.clone());
        stanchion::runtime::task::spawn("stand-in", acting.run(CancellationToken::new()));
        let settings = ServerSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            lame_duck: Some(Duration::ZERO),
            ..ServerSettings::default()
        };
        let service = Service::new(settings).tokens(Arc::new(TestTokens));
        let service = service.mount(shop_orders::module(dependencies));
        let running = service.start().await.unwrap();
        let public = running.addresses().public.unwrap();
        Self {
            running,
            catalog,
            vault,
            stand_in,
            log,
            base: format!("http://{public}"),
            client: Client::new(),
            _folder: folder,
        }
    }

    pub(crate) fn get(&self, who: &Who, path: &str) -> Asked {
        self.ask(Method::GET, who, path)
    }

    pub(crate) fn post(&self, who: &Who, path: &str) -> Asked {
        self.ask(Method::POST, who, path)
    }

    /// Below the base path, unless it is a whole path already.
    pub(crate) fn ask(&self, method: Method, who: &Who, path: &str) -> Asked {
        let base = if path.starts_with("/api/") {
            ""
        } else {
            "/api/v1"
        };
        let url = format!("{}{base}{path}", self.base);
        let request = self.client.request(method, url).timeout(PATIENCE * 2);
        Asked(match who.token.as_str() {
            "" => request,
            token => request.bearer_auth(token),
        })
    }

    pub(crate) fn root(&self, path: &str) -> Asked {
        Asked(self.client.get(format!("{}{path}", self.base)))
    }

    /// Places an order of one item and waits until it is settled; the order.
    pub(crate) async fn settled(&self, who: &Who, sku: &str) -> Value {
        let placing = self
            .post(who, "/orders")
            .fresh_key()
            .header("prefer", "wait=10");
        let answered = placing.json(&order(&[(sku, 1)])).await;
        assert_eq!(answered.status, 200, "{:?}", answered.body);
        answered.body["data"].clone()
    }

    /// Places an order of one item; the order as it is then.
    pub(crate) async fn placed(&self, who: &Who, sku: &str) -> Value {
        let placing = self.post(who, "/orders").fresh_key();
        let answered = placing.json(&order(&[(sku, 1)])).await;
        assert_eq!(answered.status, 202, "{:?}", answered.body);
        answered.body["data"].clone()
    }

    pub(crate) fn take_the_catalogue_out(&self, out: bool) {
        self.catalog.out.store(out, Ordering::Relaxed);
    }
}

impl Who {
    pub(crate) fn customer() -> Self {
        Self::with("")
    }

    pub(crate) fn staff() -> Self {
        Self::with("order:read order:write")
    }

    pub(crate) fn with(scope: &str) -> Self {
        let id = stanchion::runtime::id::new_v7();
        Self {
            id,
            token: format!("{id}/{scope}/"),
        }
    }

    /// A service of ours that acts for nobody.
    pub(crate) fn service() -> Self {
        Self {
            id: Uuid::nil(),
            token: "service".into(),
        }
    }

    pub(crate) fn nobody() -> Self {
        Self {
            id: Uuid::nil(),
            token: String::new(),
        }
    }

    pub(crate) fn until(&self, end: Timestamp) -> Self {
        let token = format!("{}//{end}", self.id);
        Self { id: self.id, token }
    }
}

impl Asked {
    pub(crate) fn header(self, name: &str, value: impl ToString) -> Self {
        Self(self.0.header(name, value.to_string()))
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn fresh_key(self) -> Self {
        self.key(&stanchion::runtime::id::new_v7().to_string())
    }

    pub(crate) async fn json(self, body: &Value) -> Answered {
        self.header("content-type", "application/json")
            .text(&body.to_string())
            .await
    }

    pub(crate) async fn text(self, body: &str) -> Answered {
        Self(self.0.body(body.to_owned())).send().await
    }

    pub(crate) async fn send(self) -> Answered {
        let response = self.0.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answered {
            status,
            headers,
            body,
        }
    }

    /// The response whose body is still to come.
    pub(crate) async fn open(self) -> reqwest::Response {
        self.0.send().await.unwrap()
    }
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn data(&self) -> &Value {
        &self.body["data"]
    }

    pub(crate) fn token(&self) -> &str {
        self.body["meta"]["consistency_token"].as_str().unwrap()
    }
}

/// The body that orders so many of each.
pub(crate) fn order(items: &[(&str, i64)]) -> Value {
    let item = |(sku, quantity): &(&str, i64)| json!({"sku": sku, "quantity": quantity});
    let items: Vec<Value> = items.iter().map(item).collect();
    json!({"items": items, "payment_method": "pm_card_visa"})
}

pub(crate) fn eur(amount: i64) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

pub(crate) fn id(order: &Value) -> &str {
    order["id"].as_str().unwrap()
}

async fn dependencies(
    folder: &TempDir,
    broker: &Arc<MemoryBroker>,
    catalog: &Arc<PriceList>,
    step_timeout: Duration,
) -> Dependencies {
    let url = format!("sqlite://{}", folder.path().display());
    let url: DatabaseUrl = url.parse().unwrap();
    let db = Db::open(&url, "orders", &DatabaseSettings::default())
        .await
        .unwrap();
    migrate(&db, &[shop_orders::migrations()], Mode::Auto)
        .await
        .unwrap();
    Dependencies {
        log: Arc::new(SqlLog::open(db.clone()).await.unwrap()),
        inbox: Arc::new(SqlInbox::new(db.clone())),
        consumers: Arc::new(SqlConsumerStore::new(db.clone())),
        db,
        broker: Arc::clone(broker) as Arc<dyn Subscriber>,
        asks: None,
        limits: ConsumerLimits::default(),
        catalog: catalog.clone(),
        vault: Arc::new(Keys::default()),
        policies: Arc::new(policies()),
        metrics: Metrics::default(),
        step_timeout,
    }
}

fn policies() -> PolicyFile {
    let read = PolicyFile::parse("orders", shop_orders::POLICIES, &shop_orders::vocabulary());
    read.unwrap()
}

/// A token is the user's id, a scope, and perhaps its end, with slashes between them.
struct TestTokens;

#[async_trait]
impl Authenticate for TestTokens {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        if token == "service" {
            return Ok(Principal::service("reports", Permissions::none()).unwrap());
        }
        let [id, scope, end] = token.split('/').collect::<Vec<_>>()[..] else {
            return Err(AuthenticateError::Invalid);
        };
        let id = Uuid::parse_str(id).map_err(|_| AuthenticateError::Invalid)?;
        let permissions = Permissions::parse(scope).map_err(|_| AuthenticateError::Invalid)?;
        let principal = Principal::user(id, id, permissions);
        Ok(Principal {
            expires_at: end.parse().ok(),
            ..principal
        })
    }
}
