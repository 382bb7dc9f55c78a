use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::{Shop, User};

const BASE: &str = "/api/v1";

/// A request in the making.
pub(crate) struct Request {
    shop: Shop,
    builder: http::request::Builder,
    body: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Null for an empty one.
    pub(crate) body: Value,
}

impl Shop {
    pub(crate) fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    pub(crate) fn post(&self, path: &str) -> Request {
        self.request("POST", path)
    }

    pub(crate) fn put(&self, path: &str) -> Request {
        self.request("PUT", path)
    }

    pub(crate) fn patch(&self, path: &str) -> Request {
        self.request("PATCH", path)
    }

    pub(crate) fn delete(&self, path: &str) -> Request {
        self.request("DELETE", path)
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        self.at(method, &format!("{BASE}{path}"))
    }

    /// A GET outside the base path.
    pub(crate) async fn root(&self, path: &str) -> Reply {
        self.at("GET", path).send().await
    }

    fn at(&self, method: &str, path: &str) -> Request {
        let method: Method = method.parse().unwrap();
        Request {
            shop: self.clone(),
            builder: http::Request::builder().method(method).uri(path),
            body: String::new(),
        }
    }
}

impl Request {
    pub(crate) fn by(self, user: &User) -> Self {
        let bearer = format!("Bearer {}", user.access_token);
        self.header(AUTHORIZATION.as_str(), &bearer)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    /// It comes from there; others come from nowhere, like calls within the process.
    pub(crate) fn sent_from(mut self, address: &str) -> Self {
        let peer = SocketAddr::new(address.parse().unwrap(), 50_000);
        let builder = self.builder.extension(ConnectInfo(peer));
        self.builder = builder.header("host", "shop.example");
        self
    }

    pub(crate) fn json(self, body: Value) -> Self {
        self.text(&body.to_string())
    }

    pub(crate) fn text(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self
    }

    pub(crate) async fn send(self) -> Reply {
        let typed = self
            .builder
            .headers_ref()
            .is_some_and(|headers| headers.contains_key(CONTENT_TYPE));
        let builder = match typed || self.body.is_empty() {
            true => self.builder,
            false => self.builder.header(CONTENT_TYPE, "application/json"),
        };
        let request = builder.body(Body::from(self.body)).unwrap();
        let response = self.shop.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: match bytes.is_empty() {
                true => Value::Null,
                false => serde_json::from_slice(&bytes).unwrap(),
            },
        }
    }
}

impl Reply {
    /// Its data, after a look at its status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> &Value {
        assert_eq!(self.status, status, "{}", self.body);
        &self.body["data"]
    }

    /// Its error, after a look at its status and code.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> &Value {
        let error = &self.body["error"];
        assert_eq!(
            (self.status, error["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.body
        );
        error
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}
