//! Somebody who talks to the shop.

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::Answer;

pub(crate) const PASSWORD: &str = "a password of some length";

/// A payment method that succeeds.
pub(crate) const VISA: &str = "pm_card_visa";

/// A client of the REST API, with or without a token.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) http: Client,
    pub(crate) base: String,
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) refresh: String,
}

/// A request being put together.
pub(crate) struct Ask {
    request: RequestBuilder,
    what: String,
}

/// An order of one product.
pub(crate) fn item(sku: &str, quantity: i64) -> Value {
    items(&[(sku, quantity)], VISA)
}

/// An order of several products with a payment method.
pub(crate) fn items(items: &[(&str, i64)], method: &str) -> Value {
    let items = items
        .iter()
        .map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity}));
    json!({"items": items.collect::<Vec<_>>(), "payment_method": method})
}

impl Caller {
    pub(crate) fn anonymous(http: Client, base: String) -> Self {
        let empty = String::new;
        Self {
            http,
            base,
            id: empty(),
            token: empty(),
            refresh: empty(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Ask {
        self.ask(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Ask {
        self.ask(Method::POST, path)
    }

    pub(crate) fn put(&self, path: &str) -> Ask {
        self.ask(Method::PUT, path)
    }

    pub(crate) fn patch(&self, path: &str) -> Ask {
        self.ask(Method::PATCH, path)
            .header("content-type", "application/merge-patch+json")
    }

    pub(crate) fn delete(&self, path: &str) -> Ask {
        self.ask(Method::DELETE, path)
    }

    /// Any method on a path below `/api/v1`.
    pub(crate) fn ask(&self, method: Method, path: &str) -> Ask {
        let ask = Ask::new(&self.http, method, format!("{}/api/v1{path}", self.base));
        if self.token.is_empty() {
            return ask;
        }
        ask.header("authorization", &format!("Bearer {}", self.token))
    }

    /// Becomes a new customer, logged in.
    pub(crate) async fn register(&mut self, name: &str) {
        let body = json!({
            "email": format!("{name}@example.com"), "username": name, "password": PASSWORD,
        });
        let made = self.post("/users").json(&body).send().await.expect(201);
        self.id = made.text_at("/id");
        self.log_in(name, PASSWORD).await;
    }

    /// Becomes who that is.
    pub(crate) async fn log_in(&mut self, login: &str, password: &str) {
        self.token.clear();
        let body = json!({"login": login, "password": password});
        let tokens = self
            .post("/auth/login")
            .json(&body)
            .send()
            .await
            .expect(200);
        self.token = tokens.text_at("/access_token");
        self.refresh = tokens.text_at("/refresh_token");
        self.id = self
            .get("/users/me")
            .send()
            .await
            .expect(200)
            .text_at("/id");
    }

    /// Places an order and waits for its end.
    pub(crate) async fn order(&self, order: &Value) -> Answer {
        let key = stanchion::runtime::id::new_v7().to_string();
        self.post("/orders")
            .key(&key)
            .wait(20)
            .json(order)
            .send()
            .await
            .expect(200)
    }

    /// Places an order and does not wait.
    pub(crate) async fn place(&self, order: &Value) -> Answer {
        let key = stanchion::runtime::id::new_v7().to_string();
        self.post("/orders")
            .key(&key)
            .json(order)
            .send()
            .await
            .expect(202)
    }

    /// An order of the caller's, as it is now.
    pub(crate) async fn see_order(&self, id: &str) -> Answer {
        self.get(&format!("/orders/{id}")).send().await.expect(200)
    }

    /// How many of a product are free.
    pub(crate) async fn stock(&self, sku: &str) -> i64 {
        self.get(&format!("/products/{sku}"))
            .send()
            .await
            .expect(200)
            .number_at("/available")
    }

    /// The payment of an order, as its own stream says it is.
    pub(crate) async fn payment_of(&self, order: &Answer) -> Answer {
        let id = order.text_at("/payment_id");
        self.get(&format!("/payments/{id}"))
            .send()
            .await
            .expect(200)
    }

    /// Creates a product with some stock; needs `inventory:write`.
    pub(crate) async fn stock_product(&self, sku: &str, cents: i64, pieces: i64) {
        let body = json!({
            "sku": sku, "name": format!("Product {sku}"), "description": "Made for a test.",
            "price": {"amount": cents, "currency": "EUR"},
        });
        self.post("/products").json(&body).send().await.expect(201);
        if pieces > 0 {
            let delivery = json!({"delta": pieces, "reason": "delivery"});
            self.post(&format!("/products/{sku}/stock"))
                .json(&delivery)
                .send()
                .await
                .expect(200);
        }
    }
}

impl Ask {
    pub(crate) fn new(http: &Client, method: Method, url: String) -> Self {
        let what = format!("{method} {url}");
        Self {
            request: http.request(method, url),
            what,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// A header that need not be text.
    pub(crate) fn header_bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// The client would rather wait so many seconds than ask again.
    pub(crate) fn wait(self, seconds: u32) -> Self {
        self.header("prefer", &format!("wait={seconds}"))
    }

    /// A JSON body; a content type that was set before stays.
    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.request = self.request.json(body);
        self
    }

    /// Any body; it brings no content type.
    pub(crate) fn body(mut self, body: impl Into<reqwest::Body>) -> Self {
        self.request = self.request.body(body);
        self
    }

    /// Sends it and reads the whole answer.
    pub(crate) async fn send(self) -> Answer {
        self.try_send().await.unwrap()
    }

    /// The same where the connection may break.
    pub(crate) async fn try_send(self) -> anyhow::Result<Answer> {
        let asked = self.what;
        let response = self.request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer {
            asked,
            status,
            headers,
            text: response.text().await?,
        })
    }

    /// Sends it and leaves the body to the caller: a stream.
    pub(crate) async fn open(self) -> reqwest::Response {
        self.request.send().await.unwrap()
    }
}
