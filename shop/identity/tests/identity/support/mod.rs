//! One way to start identity and to call it.

mod http;
mod open;
mod post;

use std::ops::Deref;
use std::sync::Arc;

use serde_json::{Value, json};
use shop_identity::Identity;
use stanchion::auth::Passwords;
use stanchion::auth::key::KeyEncryptionKey;
use stanchion::eventsourcing::{EventLog, Filter, Position};
use stanchion::server::Running;
use stanchion::sql::{Db, params};
use stanchion::telemetry::Metrics;

pub(crate) use http::Reply;
pub(crate) use open::{Place, sealing_key};
pub(crate) use post::{Postbox, token_of};

pub(crate) const PASSWORD: &str = "correct horse battery";

const ADMIN_PASSWORD: &str = "the administrator's one";

/// Identity behind its router, on a store of its own. Clones share it.
#[derive(Clone)]
pub(crate) struct Shop(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) router: axum::Router,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) db: Db,
    pub(crate) passwords: Passwords,
    pub(crate) metrics: Metrics,
    pub(crate) identity: Arc<Identity>,
    sealing: Arc<KeyEncryptionKey>,
    place: Arc<Place>,
    /// What hands mails over, if something does.
    _running: Option<Running>,
}

/// Somebody with an account, logged in.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

impl Deref for Shop {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Shop {
    /// Registers and logs in; the address is `<username>@example.com`.
    pub(crate) async fn register(&self, username: &str) -> User {
        let reply = self
            .post("/users")
            .json(registration(username))
            .send()
            .await;
        reply.expect(201);
        self.login(username).await
    }

    pub(crate) async fn staff(&self, username: &str, admin: &User) -> User {
        let user = self.register(username).await;
        self.give_roles(admin, &user, json!(["staff"]))
            .await
            .expect(200);
        self.login(username).await
    }

    pub(crate) async fn admin(&self) -> User {
        self.login_with("admin", ADMIN_PASSWORD).await
    }

    pub(crate) async fn login(&self, login: &str) -> User {
        self.login_with(login, PASSWORD).await
    }

    pub(crate) async fn login_with(&self, login: &str, password: &str) -> User {
        let body = json!({"login": login, "password": password});
        let reply = self.post("/auth/login").json(body).send().await;
        let user = User::unknown().with_tokens(reply.expect(200));
        let me = self.get("/users/me").by(&user).send().await;
        let id = me.expect(200)["id"].as_str().unwrap().to_owned();
        User { id, ..user }
    }

    pub(crate) async fn try_login(&self, login: &str) -> Reply {
        let body = json!({"login": login, "password": PASSWORD});
        self.post("/auth/login").json(body).send().await
    }

    pub(crate) async fn give_roles(&self, admin: &User, user: &User, roles: Value) -> Reply {
        let path = format!("{}/roles", user.path());
        self.put(&path)
            .by(admin)
            .json(json!({"roles": roles}))
            .send()
            .await
    }

    pub(crate) async fn set_status(&self, admin: &User, user: &User, status: &str) -> Reply {
        let path = format!("{}/status", user.path());
        self.put(&path)
            .by(admin)
            .json(json!({"status": status}))
            .send()
            .await
    }

    /// What its log has recorded of that kind, oldest first.
    pub(crate) async fn recorded(&self, kind: &str) -> Vec<Value> {
        let entries = self.log.read(Position::START, &Filter::all(), 10_000).await;
        let entries = entries.unwrap().into_iter();
        let of_kind = entries.filter(|entry| entry.kind == kind);
        of_kind.map(|entry| entry.data.value().unwrap()).collect()
    }

    pub(crate) async fn sessions(&self, user: &User) -> Vec<Value> {
        let reply = self.get("/auth/sessions").by(user).send().await;
        reply.expect(200).as_array().unwrap().clone()
    }

    /// Changes rows behind identity's back.
    pub(crate) async fn exec(&self, sql: &str) {
        self.db.exec(sql, params![]).await.unwrap();
    }

    /// How many rows there are of that query.
    pub(crate) async fn rows(&self, sql: &str) -> usize {
        self.db.query(sql, params![]).await.unwrap().len()
    }
}

impl User {
    /// Somebody who was never here.
    pub(crate) fn unknown() -> Self {
        Self {
            id: "01900000-0000-7000-8000-000000000000".into(),
            access_token: String::new(),
            refresh_token: String::new(),
        }
    }

    pub(crate) fn path(&self) -> String {
        format!("/users/{}", self.id)
    }

    pub(crate) fn with_tokens(&self, tokens: &Value) -> Self {
        let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
        Self {
            id: self.id.clone(),
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
        }
    }
}

pub(crate) fn registration(username: &str) -> Value {
    json!({
        "email": format!("{username}@example.com"),
        "username": username,
        "password": PASSWORD,
        "first_name": "Testa",
    })
}
