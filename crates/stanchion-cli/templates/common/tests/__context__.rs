//! __Things__ through the router, on a store in memory.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use ::__service_ident__::__context__;
use ::__service_ident__::store::Store;
use async_trait::async_trait;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use stanchion::auth::{Permissions, Principal};
use stanchion::server::{Authenticate, AuthenticateError, Running, ServerSettings, Service};
use stanchion::telemetry::Metrics;
use tonic::transport::Endpoint;
use uuid::Uuid;

#[allow(clippy::all, clippy::pedantic, dead_code, reason = "generated, and its server is not used here")]
mod pb {
    tonic::include_proto!("__context__.v1");
}

/// Longer than anything in these tests takes.
const PATIENCE: Duration = Duration::from_secs(20);

const STAFF: &str = "__permission__:*";
const READER: &str = "__permission__:read";

struct Api {
    running: Running,
    client: Client,
}

impl Api {
    async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let store = Store::empty("__context__", __context__::migrations()).await.unwrap();
        let settings = ServerSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            lame_duck: Some(Duration::ZERO),
            ..ServerSettings::default()
        };
        let service = Service::new(settings)
            .tokens(Arc::new(TestTokens))
            .mount(__context__::module(&store, &Metrics::default()));
        Self {
            running: service.start().await.unwrap(),
            client: Client::new(),
        }
    }

    fn ask(&self, method: Method, path: &str, scope: &str) -> RequestBuilder {
        let address = self.running.addresses().public.unwrap();
        let url = format!("http://{address}/api/v1{path}");
        self.client.request(method, url).bearer_auth(scope).timeout(PATIENCE)
    }

    async fn open(&self, name: &str) -> Response {
        let request = self.ask(Method::POST, "/__path__", STAFF);
        request.json(&json!({ "name": name })).send().await.unwrap()
    }
}

async fn body(response: Response) -> Value {
    response.json().await.unwrap()
}

#[tokio::test]
async fn what_was_opened_can_be_read_at_once() {
    let api = Api::start().await;
    let opened = api.open("one").await;
    assert_eq!(opened.status(), 201);
    let opened = body(opened).await;
    let path = format!("/__path__/{}", opened["data"]["id"].as_str().unwrap());
    let read = api.ask(Method::GET, &path, READER).send().await.unwrap();
    assert_eq!(read.status(), 200);
    assert_eq!(body(read).await["data"], opened["data"]);
}

#[tokio::test]
async fn the_same_key_opens_one_and_answers_twice() {
    let api = Api::start().await;
    let open = || {
        let request = api.ask(Method::POST, "/__path__", STAFF);
        request.header("idempotency-key", "once").json(&json!({ "name": "one" })).send()
    };
    let first = body(open().await.unwrap()).await;
    let second = body(open().await.unwrap()).await;
    assert_eq!(first["data"], second["data"]);
}

#[tokio::test]
async fn who_may_only_read_opens_nothing() {
    let api = Api::start().await;
    let request = api.ask(Method::POST, "/__path__", READER);
    let refused = request.json(&json!({ "name": "one" })).send().await.unwrap();
    assert_eq!(refused.status(), 403);
}

#[tokio::test]
async fn a_stale_version_is_refused_and_a_closed_one_keeps_its_name() {
    let api = Api::start().await;
    let opened = body(api.open("one").await).await;
    let path = format!("/__path__/{}", opened["data"]["id"].as_str().unwrap());
    let rename = |etag: &'static str| {
        let request = api.ask(Method::PUT, &path, STAFF).header("if-match", etag);
        request.json(&json!({ "name": "two" })).send()
    };
    assert_eq!(rename("\"0\"").await.unwrap().status(), 200);
    assert_eq!(rename("\"0\"").await.unwrap().status(), 412);
    let close = || api.ask(Method::POST, &format!("{path}/close"), STAFF).send();
    assert_eq!(close().await.unwrap().status(), 200);
    assert_eq!(close().await.unwrap().status(), 200);
    let refused = body(rename("*").await.unwrap()).await;
    assert_eq!(refused["error"]["code"], "__THING___CLOSED");
}

#[tokio::test]
async fn a_name_must_be_there_and_unknown_ids_are_not_found() {
    let api = Api::start().await;
    assert_eq!(api.open("").await.status(), 422);
    let path = format!("/__path__/{}", Uuid::nil());
    let read = api.ask(Method::GET, &path, READER).send().await.unwrap();
    assert_eq!(read.status(), 404);
    assert_eq!(body(read).await["error"]["code"], "__THING___NOT_FOUND");
}

#[tokio::test]
async fn grpc_opens_what_rest_reads_and_refuses_whom_rest_refuses() {
    let api = Api::start().await;
    let address = format!("http://{}", api.running.addresses().public.unwrap());
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    let mut grpc = pb::__things___service_client::__Things__ServiceClient::new(channel);
    let open = |scope: &str| {
        let mut request = tonic::Request::new(pb::Open__Thing__Request { name: "one".into() });
        let bearer = format!("Bearer {scope}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        request.set_timeout(PATIENCE);
        request
    };
    let refused = grpc.open___thing__(open(READER)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    let opened = grpc.open___thing__(open(STAFF)).await.unwrap().into_inner();
    let path = format!("/__path__/{}", opened.id);
    let read = api.ask(Method::GET, &path, READER).send().await.unwrap();
    assert_eq!(body(read).await["data"]["name"], "one");
}

/// A token is a scope; everybody is the same somebody.
struct TestTokens;

#[async_trait]
impl Authenticate for TestTokens {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        let permissions = Permissions::parse(token).map_err(|_| AuthenticateError::Invalid)?;
        let somebody = Uuid::from_u128(1);
        Ok(Principal::user(somebody, somebody, permissions))
    }
}
