//! What is asked: mostly what costs little, so that a small machine keeps up with the rate. What is looked for is in how
//! connections end, not in stores.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, TE};
use http::request::Builder;
use http::{Method, Request};
use http_body_util::Full;
use prost::Message;
use shop_contracts::grpc::inventory::v1::GetProductRequest;
use shop_contracts::grpc::order::v1::{GetOrderRequest, WatchOrderRequest};

use crate::account::Account;

/// Demo products.
const WANTED: [&str; 4] = ["COFFEE-BEANS-1KG", "MUG-BLUE", "PAPER-FILTER-100", "TEAPOT"];
/// One request in so many looks at a product or an order, one in so many places an order.
const LOOKS: u64 = 20;
const ORDERS: u64 = 400;

/// Requests, each by its number: the same seed asks the same.
pub(crate) struct Asks {
    account: Account,
    seed: u64,
}

impl Asks {
    pub(crate) fn new(account: Account, seed: u64) -> Self {
        Self { account, seed }
    }

    /// REST over HTTP/1.1 or HTTP/2.
    pub(crate) fn rest(&self, lane: &str, number: u64, authority: &str) -> Request<Full<Bytes>> {
        if number.is_multiple_of(ORDERS) {
            let key = format!("{lane}-{}-{number}", self.seed);
            return self.order(authority, &key, None);
        }
        let path = match number % LOOKS {
            0 => format!("/api/v1/orders/{}", self.account.order),
            1 => format!("/api/v1/products/{}", wanted(number)),
            _ => "/.well-known/jwks.json".to_owned(),
        };
        let request = self.builder(Method::GET, authority, &path);
        complete(request, Bytes::new())
    }

    /// An order whose client would rather wait until it is settled.
    pub(crate) fn waiting(
        &self,
        number: u64,
        authority: &str,
        seconds: u64,
    ) -> Request<Full<Bytes>> {
        let key = format!("wait-{}-{number}", self.seed);
        self.order(authority, &key, Some(seconds))
    }

    /// One message each way.
    pub(crate) fn call(&self, number: u64, authority: &str) -> Request<Full<Bytes>> {
        match number % LOOKS {
            0 => {
                let id = self.account.order.clone();
                let path = "/order.v1.OrderService/GetOrder";
                self.grpc(authority, path, &GetOrderRequest { id })
            }
            1 => {
                let sku = wanted(number).to_owned();
                let path = "/inventory.v1.InventoryService/GetProduct";
                self.grpc(authority, path, &GetProductRequest { sku })
            }
            _ => self.grpc(authority, "/grpc.health.v1.Health/Check", &()),
        }
    }

    /// What happens to the order, as gRPC tells it.
    pub(crate) fn watch_call(&self, authority: &str) -> Request<Full<Bytes>> {
        let message = WatchOrderRequest {
            id: self.account.order.clone(),
            after_version: None,
        };
        self.grpc(authority, "/order.v1.OrderService/WatchOrder", &message)
    }

    /// The same as server-sent events.
    pub(crate) fn watch_events(&self, authority: &str) -> Request<Full<Bytes>> {
        let path = format!("/api/v1/orders/{}/watch", self.account.order);
        let request = self.builder(Method::GET, authority, &path);
        complete(request.header("accept", "text/event-stream"), Bytes::new())
    }

    fn order(&self, authority: &str, key: &str, wait: Option<u64>) -> Request<Full<Bytes>> {
        let mut request = self.builder(Method::POST, authority, "/api/v1/orders");
        request = request.header("idempotency-key", key);
        if let Some(seconds) = wait {
            request = request.header("prefer", format!("wait={seconds}"));
        }
        complete(request, Bytes::from_static(crate::account::ORDER))
    }

    fn builder(&self, method: Method, authority: &str, path: &str) -> Builder {
        rest(method, authority, path).header(AUTHORIZATION, &self.account.bearer)
    }

    fn grpc(&self, authority: &str, path: &str, message: &impl Message) -> Request<Full<Bytes>> {
        let mut body = BytesMut::new();
        body.put_u8(0);
        body.put_u32(message.encoded_len() as u32);
        body.extend_from_slice(&message.encode_to_vec());
        let request = Request::post(format!("http://{authority}{path}"))
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers")
            .header(AUTHORIZATION, &self.account.bearer);
        complete(request, body.freeze())
    }
}

/// A request of REST; the authority is in the head of each version of HTTP.
pub(crate) fn rest(method: Method, authority: &str, path: &str) -> Builder {
    Request::builder()
        .method(method)
        .uri(format!("http://{authority}{path}"))
        .header(HOST, authority)
        .header(CONTENT_TYPE, "application/json")
}

/// With its body.
///
/// # Panics
/// What it is made of is no request: a mistake of ours.
pub(crate) fn complete(request: Builder, body: Bytes) -> Request<Full<Bytes>> {
    request.body(Full::new(body)).expect("made of valid parts")
}

fn wanted(number: u64) -> &'static str {
    WANTED[(number % WANTED.len() as u64) as usize]
}
