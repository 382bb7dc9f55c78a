//! One row: what is sent by whom, and what it gets.

use reqwest::Method;
use serde_json::Value;

pub(super) struct Case {
    pub(super) name: String,
    pub(super) who: Who,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, Vec<u8>)>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) status: u16,
    pub(super) code: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Anyone,
    Customer,
    Admin,
}

impl Case {
    pub(super) fn new(name: &str, method: Method, path: &str) -> Self {
        Self {
            name: name.to_owned(),
            who: Who::Customer,
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
            status: 0,
            code: "",
        }
    }

    pub(super) fn get(name: &str, path: &str) -> Self {
        Self::new(name, Method::GET, path)
    }

    /// A `POST` with a JSON body and a fresh idempotency key.
    pub(super) fn post(name: &str, path: &str, body: impl Into<Vec<u8>>) -> Self {
        let key = stanchion::runtime::id::new_v7().to_string();
        Self::new(name, Method::POST, path)
            .with("idempotency-key", &key)
            .json(body)
    }

    pub(super) fn put(name: &str, path: &str, body: &Value) -> Self {
        Self::new(name, Method::PUT, path).json(body.to_string())
    }

    pub(super) fn patch(name: &str, path: &str, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        Self {
            body: Some(body),
            ..Self::new(name, Method::PATCH, path)
        }
        .with("content-type", "application/merge-patch+json")
    }

    pub(super) fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    /// Sets a header; the last one of a name wins.
    pub(super) fn with(self, name: &'static str, value: &str) -> Self {
        self.with_bytes(name, value.as_bytes())
    }

    pub(super) fn with_bytes(self, name: &'static str, value: &[u8]) -> Self {
        let mut case = self.without(name);
        case.headers.push((name, value.to_vec()));
        case
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    pub(super) fn is(self, status: u16, code: &'static str) -> Self {
        Self {
            status,
            code,
            ..self
        }
    }

    fn json(self, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Some(body.into()),
            ..self
        }
        .with("content-type", "application/json")
    }
}
