//! Abuse of every operation that the OpenAPI document and the gRPC descriptors tell of. The cases are made of the
//! documents: a new route is covered by what it says of itself, or fails here until somebody says whose object it is.

mod access;
mod confusion;
mod grpc;
mod mass_assignment;
mod pagination;
mod schema;
mod spelling;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::caller::Ask;
use crate::support::{Answer, Caller, Shop, eventually, item};

/// Enough for a projection on a busy machine.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(20);

/// Below it are the shop's own operations.
const BASE: &str = "/api/v1";

/// Who may call, as the document says it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stated {
    /// No token is needed.
    Open,
    /// Any token.
    Token,
    /// A token with this permission.
    Permission(String),
    /// Any token, and policies decide about the object.
    Policy(String),
}

/// A service that may have API keys.
const SERVICE: &str = "warehouse";

/// An operation of the document.
#[derive(Debug)]
struct Operation {
    method: Method,
    path: String,
    spec: Value,
}

/// A shop with somebody whose things others want.
struct Scene {
    shop: Shop,
    document: Value,
    operations: Vec<Operation>,
    ada: Caller,
    bob: Caller,
    staff: Caller,
    admin: Caller,
    order: Answer,
    session: String,
    api_key: String,
}

impl Scene {
    async fn set() -> Self {
        let shop = Shop::start().await;
        let document = shop.fetch("/openapi.json").send().await.expect(200).json();
        let ada = shop.customer("ada").await;
        let order = ada.order(&item("MUG-BLUE", 2)).await;
        let sessions = ada.get("/auth/sessions").send().await.expect(200);
        let api_key = ada.post("/auth/api-keys").json(&json!({"name": "nightly"}));
        let api_key = api_key.send().await.expect(201);
        let scene = Self {
            operations: operations(&document),
            api_key: api_key.text_at("/id"),
            session: sessions.text_at("/0/id"),
            bob: shop.customer("bob").await,
            staff: shop.staff("carol").await,
            admin: shop.admin().await,
            document,
            ada,
            order,
            shop,
        };
        scene.caught_up().await;
        assert!(
            scene.operations.len() >= 30,
            "{} operations",
            scene.operations.len()
        );
        scene
    }

    /// Until the lists show all that was ordered as it ended.
    async fn caught_up(&self) {
        for (list, wanted) in [
            ("/orders?limit=100", "confirmed"),
            ("/payments?limit=100", "captured"),
        ] {
            eventually(list, CAUGHT_UP_WITHIN, || async {
                let rows = self.admin.get(list).send().await.expect(200).data();
                let mut rows = rows.as_array().unwrap().iter();
                let begun = rows.len() > 0;
                (begun && rows.all(|row| row["status"] == wanted)).then_some(())
            })
            .await;
        }
    }

    /// What is ada's at that place of a path; `None` for what is nobody's.
    ///
    /// # Panics
    /// Nobody has said yet whose it is.
    fn of_ada(&self, path: &str) -> Option<String> {
        let below = path.strip_prefix(BASE).unwrap_or(path);
        let place = below.split('{').next().unwrap_or(below);
        Some(match place {
            "/orders/" => self.order.text_at("/id"),
            "/payments/" => self.order.text_at("/payment_id"),
            "/users/" => self.ada.id.clone(),
            "/auth/sessions/" => self.session.clone(),
            "/auth/api-keys/" => self.api_key.clone(),
            // A service's, whose name stands before it.
            "/auth/services/" if path.ends_with("{id}") => self.api_key.clone(),
            // Nobody's.
            "/products/" | "/auth/services/" => return None,
            _ => panic!("{path}: a new kind of object: say here which of ada's it is"),
        })
    }

    /// The path with what is ada's in it.
    fn filled(&self, operation: &Operation) -> String {
        if !operation.has_object() {
            return operation.path.clone();
        }
        let object = self.of_ada(&operation.path);
        let nobodys = if operation.path.contains("{service}") {
            SERVICE
        } else {
            "KETTLE"
        };
        operation.with(&object.unwrap_or_else(|| nobodys.into()))
    }

    /// The operation on a path as it is, by somebody, with a body that fits.
    fn ask(&self, who: &Caller, operation: &Operation, path: &str) -> Ask {
        let ask = operation.ask(who, path);
        match operation.body(&self.document) {
            Some((kind, body)) => ask.header("content-type", &kind).body(body.to_string()),
            None => ask,
        }
    }

    /// All that an attack might have changed.
    async fn state(&self) -> Value {
        let mut state = json!({});
        for path in [
            format!("/users/{}", self.ada.id),
            format!("/orders/{}", self.order.text_at("/id")),
            format!("/payments/{}", self.order.text_at("/payment_id")),
            format!("/users/{}/orders", self.ada.id),
            "/users?sort=created_at&limit=100".into(),
            "/products?sort=name&limit=100".into(),
            "/orders?sort=placed_at&limit=100".into(),
            "/payments?limit=100".into(),
        ] {
            state[&path] = self.admin.get(&path).send().await.expect(200).data();
        }
        // Logins of the scene itself.
        for user in state["/users?sort=created_at&limit=100"]
            .as_array_mut()
            .unwrap()
        {
            user["last_login_at"].take();
        }
        state
    }
}

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn stated(&self) -> Stated {
        if let Some(permission) = self.spec["x-policy"].as_str() {
            return Stated::Policy(permission.to_owned());
        }
        let security = self.spec["security"].as_array();
        let security = security.unwrap_or_else(|| panic!("{} states no access", self.name()));
        let open = security.is_empty() || security.contains(&json!({}));
        let scope = security.iter().find_map(|one| one["bearer"][0].as_str());
        match scope {
            _ if open => Stated::Open,
            Some(permission) => Stated::Permission(permission.to_owned()),
            None => Stated::Token,
        }
    }

    /// Whether it is about one thing, named in its path.
    fn has_object(&self) -> bool {
        self.path.contains('{')
    }

    fn is_safe(&self) -> bool {
        self.method == Method::GET
    }

    /// The path with that in place of its last parameter.
    fn with(&self, object: &str) -> String {
        let path = match self.path.matches('{').count() {
            2 => self.path.replacen("{service}", SERVICE, 1),
            _ => self.path.clone(),
        };
        let (before, rest) = path.split_once('{').unwrap();
        let (_, after) = rest.split_once('}').unwrap();
        assert!(!after.contains('{'), "{}: two parameters", self.path);
        format!("{before}{object}{after}")
    }

    fn parameters(&self) -> impl Iterator<Item = &Value> {
        self.spec["parameters"].as_array().into_iter().flatten()
    }

    fn takes(&self, place: &str, name: &str) -> bool {
        self.parameters()
            .any(|known| known["in"] == place && known["name"] == name)
    }

    /// A whole path, asked by somebody, without a body.
    fn ask(&self, who: &Caller, path: &str) -> Ask {
        let ask = ask(who, self.method.clone(), path);
        if self.takes("header", "Idempotency-Key") {
            return ask.key(&stanchion::runtime::id::new_v7().to_string());
        }
        ask
    }

    /// The content type and a body as its schema has it.
    fn body(&self, document: &Value) -> Option<(String, Value)> {
        let content = self.spec["requestBody"]["content"].as_object()?;
        let (kind, described) = content.iter().next()?;
        let body = schema::example(&described["schema"], document);
        Some((kind.clone(), body))
    }
}

/// A whole path, asked by somebody.
fn ask(who: &Caller, method: Method, path: &str) -> Ask {
    let ask = Ask::new(&who.http, method, format!("{}{path}", who.base));
    if who.token.is_empty() {
        return ask;
    }
    ask.header("authorization", &format!("Bearer {}", who.token))
}

fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        // OAuth has forms and errors of its own, and stories of its own.
        let methods = methods.iter().filter(|_| !path.starts_with("/oauth2/"));
        methods.map(move |(method, spec)| Operation {
            method: method.to_uppercase().parse().unwrap(),
            path: path.clone(),
            spec: spec.clone(),
        })
    });
    all.collect()
}

/// Tells all that is wrong at once.
#[track_caller]
fn none_wrong(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
