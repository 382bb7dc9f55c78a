//! One request of the run: the same for both sides, in names instead of ids.

use reqwest::Method;
use serde_json::{Value, json};

use super::plain::Plain;
use crate::support::caller::Ask;
use crate::support::{Caller, Shop};

/// One request, in names instead of ids.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    method: Method,
    /// Below `/api/v1`; `{name}` stands for what was kept.
    path: String,
    /// Whose token: a name under which one was kept.
    caller: Option<String>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
    pub(super) keeps: Vec<(String, &'static str)>,
    pub(super) means: Means,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    None,
    Json(Value),
    Text(&'static str),
}

/// What the run knows when it was answered with success.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Means {
    Nothing,
    Customer(usize),
    Product(String),
    Order { nth: usize, by: usize },
    Cancelled { nth: usize },
}

impl Step {
    pub(super) fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            caller: None,
            headers: Vec::new(),
            body: Body::None,
            keeps: Vec::new(),
            means: Means::Nothing,
        }
    }

    pub(super) fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn by(mut self, caller: &str) -> Self {
        self.caller = Some(caller.to_owned());
        self
    }

    pub(super) fn key(mut self, key: &str) -> Self {
        self.headers.push(("idempotency-key", key.to_owned()));
        self
    }

    pub(super) fn json(mut self, body: Value) -> Self {
        self.body = Body::Json(body);
        self
    }

    pub(super) fn text(mut self, body: &'static str) -> Self {
        self.headers
            .push(("content-type", "application/json".into()));
        self.body = Body::Text(body);
        self
    }

    /// The request to that shop, in its ids.
    pub(crate) fn ask(&self, shop: &Shop, plain: &Plain) -> Ask {
        let mut caller: Caller = shop.anyone();
        if let Some(name) = &self.caller {
            let token = plain.kept(&format!("{name}.token"));
            caller.token = token.map_or("no token at all", String::as_str).to_owned();
        }
        let mut ask = caller.ask(self.method.clone(), &plain.filled(&self.path));
        for (name, value) in &self.headers {
            ask = ask.header(name, value);
        }
        match &self.body {
            Body::None => ask,
            Body::Json(body) => ask.json(body),
            Body::Text(text) => ask.body(*text),
        }
    }

    /// Whether it changes nothing.
    pub(crate) fn is_reading(&self) -> bool {
        self.method == Method::GET
    }

    /// Whether its answer waits for what follows from it.
    pub(crate) fn waits(&self) -> bool {
        self.headers.iter().any(|(name, _)| *name == "prefer")
    }

    /// The name of the order that it cancels, if it does.
    pub(crate) fn cancels(&self) -> Option<String> {
        match self.means {
            Means::Cancelled { nth } => Some(format!("order{nth}.id")),
            _ => None,
        }
    }

    /// What later requests need of its answer.
    pub(crate) fn keeps(&self) -> &[(String, &'static str)] {
        &self.keeps
    }
}

pub(super) fn put(path: &str, caller: &str, body: Value) -> Step {
    Step::new(Method::PUT, path).json(body).by(caller)
}

pub(super) fn log_in(login: &str, password: &str, keep_as: &str) -> Step {
    let body = json!({"login": login, "password": password});
    let mut step = Step::new(Method::POST, "/auth/login").json(body);
    step.keeps = vec![(format!("{keep_as}.token"), "/data/access_token")];
    step
}
