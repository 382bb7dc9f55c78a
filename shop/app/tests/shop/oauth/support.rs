//! A client, its operator, and a browser that is nothing but a cookie.

use reqwest::header::{LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use stanchion::auth::oauth::encode;

use crate::support::caller::Ask;
use crate::support::process::http_client;
use crate::support::{Answer, PASSWORD, Shop};

// RFC 7636, appendix B.
pub(in crate::oauth) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(in crate::oauth) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(in crate::oauth) const DONE: &str = "https://app.example/done";

/// A registered client.
#[derive(Clone)]
pub(in crate::oauth) struct Registered {
    pub(in crate::oauth) id: String,
    pub(in crate::oauth) secret: Option<String>,
}

/// A browser in front of the sign-in page.
pub(in crate::oauth) struct Visitor {
    http: Client,
    base: String,
    pub(in crate::oauth) cookie: String,
}

pub(in crate::oauth) fn service(scopes: &[&str]) -> Value {
    json!({
        "name": "Stock robot", "kind": "confidential", "grants": ["client_credentials"], "scopes": scopes,
    })
}

pub(in crate::oauth) fn app(kind: &str) -> Value {
    json!({
        "name": "Kettle & Co", "kind": kind, "grants": ["authorization_code", "refresh_token"],
        "redirect_uris": [DONE, "http://127.0.0.1:9/done"],
        "scopes": ["openid", "profile", "email", "offline_access", "shop", "order:read"],
    })
}

/// A form's body.
pub(in crate::oauth) fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter();
    let pairs = pairs.map(|(name, value)| format!("{name}={}", encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Adds or replaces fields; an empty value takes one away.
pub(in crate::oauth) fn changed<'a>(
    fields: &[(&'a str, &'a str)],
    changes: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let kept = fields
        .iter()
        .filter(|(name, _)| changes.iter().all(|(other, _)| other != name));
    let added = changes.iter().filter(|(_, value)| !value.is_empty());
    kept.chain(added).copied().collect()
}

impl Shop {
    /// A request to the operator's port.
    pub(crate) fn ask_admin(&self, method: Method, path: &str) -> Ask {
        let http = http_client(Client::builder());
        Ask::new(
            &http,
            method,
            format!("http://{}{path}", self.admin_address),
        )
    }

    pub(in crate::oauth) async fn client(&self, plan: Value) -> Registered {
        let asked = self.ask_admin(Method::POST, "/clients").json(&plan);
        let made = asked.send().await.expect(201).json();
        Registered {
            id: made["client_id"].as_str().unwrap().to_owned(),
            secret: made["client_secret"].as_str().map(str::to_owned),
        }
    }

    /// A form sent to a path outside the base path, by a client that says in the form who it is.
    pub(in crate::oauth) async fn send(
        &self,
        path: &str,
        by: &Registered,
        fields: &[(&str, &str)],
    ) -> Answer {
        let mut fields = fields.to_vec();
        fields.push(("client_id", &by.id));
        if let Some(secret) = &by.secret {
            fields.push(("client_secret", secret));
        }
        self.send_form(path, &form(&fields)).send().await
    }

    pub(in crate::oauth) fn send_form(&self, path: &str, body: &str) -> Ask {
        let http = http_client(Client::builder().redirect(Policy::none()));
        Ask::new(
            &http,
            Method::POST,
            format!("http://{}{path}", self.address),
        )
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.to_owned())
    }

    pub(in crate::oauth) fn visitor(&self) -> Visitor {
        Visitor {
            http: http_client(Client::builder().redirect(Policy::none())),
            base: format!("http://{}/oauth2/authorize", self.address),
            cookie: String::new(),
        }
    }

    /// A user's tokens for a client, with these scopes.
    pub(in crate::oauth) async fn sign_in(
        &self,
        by: &Registered,
        login: &str,
        scope: &str,
    ) -> Value {
        let code = self.visitor().code(by, login, scope).await;
        self.redeem(by, &code).await.expect(200).json()
    }

    pub(in crate::oauth) async fn redeem(&self, by: &Registered, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", DONE),
            ("code_verifier", VERIFIER),
        ];
        self.send("/oauth2/token", by, &fields).await
    }

    pub(in crate::oauth) async fn introspected(&self, by: &Registered, token: &str) -> Value {
        let fields = [("token", token)];
        let asked = self.send("/oauth2/introspect", by, &fields);
        asked.await.expect(200).json()
    }

    pub(in crate::oauth) async fn userinfo(&self, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        let asked = self.fetch("/oauth2/userinfo");
        asked.header("authorization", &bearer).send().await
    }
}

impl Visitor {
    pub(in crate::oauth) fn asks<'a>(
        by: &'a Registered,
        scope: &'a str,
    ) -> Vec<(&'a str, &'a str)> {
        vec![
            ("response_type", "code"),
            ("client_id", &by.id),
            ("redirect_uri", DONE),
            ("scope", scope),
            ("state", "s-1"),
            ("nonce", "n-1"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]
    }

    pub(in crate::oauth) async fn open(&mut self, query: &str) -> Answer {
        let asked = Ask::new(&self.http, Method::GET, format!("{}?{query}", self.base));
        let answer = asked.header("cookie", &self.cookie).send().await;
        if let Some(set) = answer.header(SET_COOKIE.as_str()) {
            self.cookie = set.split(';').next().unwrap().to_owned();
        }
        answer
    }

    /// What the cookie and the form have in common.
    pub(in crate::oauth) fn csrf(&self) -> &str {
        self.cookie.split_once('=').map_or("", |(_, value)| value)
    }

    pub(in crate::oauth) fn submit(&self, fields: &[(&str, &str)]) -> Ask {
        Ask::new(&self.http, Method::POST, self.base.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", &self.cookie)
            .body(form(fields))
    }

    /// Opens the page, signs in and says yes; where the browser is sent.
    pub(in crate::oauth) async fn allow(
        &mut self,
        by: &Registered,
        login: &str,
        scope: &str,
    ) -> Answer {
        let asks = Self::asks(by, scope);
        self.open(&form(&asks)).await.expect(200);
        let csrf = self.csrf().to_owned();
        let yes = [
            ("csrf", csrf.as_str()),
            ("decision", "allow"),
            ("login", login),
            ("password", PASSWORD),
        ];
        self.submit(&changed(&asks, &yes)).send().await
    }

    pub(in crate::oauth) async fn code(
        &mut self,
        by: &Registered,
        login: &str,
        scope: &str,
    ) -> String {
        let sent = self.allow(by, login, scope).await.expect(303);
        answered(&sent, "code")
    }
}

/// A parameter of where the browser is sent.
#[track_caller]
pub(in crate::oauth) fn answered(sent: &Answer, name: &str) -> String {
    let place = sent.header(LOCATION.as_str()).unwrap_or_default();
    let query = place.split_once('?').map_or("", |(_, query)| query);
    let parameters = stanchion::auth::oauth::Parameters::parse(query.as_bytes()).unwrap();
    parameters.get(name).unwrap_or_default().to_owned()
}

/// Dies unless it is this error in OAuth's form.
#[track_caller]
pub(in crate::oauth) fn refused(answer: &Answer, status: u16, error: &str) {
    let body = answer.json();
    assert_eq!(
        (answer.status, body["error"].as_str()),
        (status, Some(error)),
        "{}\n{}",
        answer.asked,
        answer.text
    );
    assert!(body["error_description"].is_string(), "{}", answer.text);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}
