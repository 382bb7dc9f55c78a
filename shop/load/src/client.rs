//! One caller of the REST API, who repeats a request until it is answered for good.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::ledger::Ledger;

/// The first pause between two tries, doubled up to the last one.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// A try that takes longer is given up and repeated.
const TRY_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
    login: (String, String),
    pub(crate) ledger: Arc<Ledger>,
}

/// What to ask for.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) body: Option<Value>,
    /// The idempotency key.
    pub(crate) key: Option<&'a str>,
    /// How long the answer may wait for its order to settle, in seconds.
    pub(crate) wait: u32,
}

/// An answer for good: success, or a refusal that another try would meet again.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) data: Value,
    /// Which try it answered.
    pub(crate) tries: u32,
}

impl Client {
    pub(crate) fn new(url: &str, ledger: Arc<Ledger>) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(TRY_TIMEOUT)
            .build()?;
        let (url, token, login) = (format!("{url}/api/v1"), String::new(), Default::default());
        Ok(Self {
            http,
            url,
            token,
            login,
            ledger,
        })
    }

    /// Becomes that user.
    pub(crate) async fn log_in(&mut self, login: &str, password: &str) {
        self.login = (login.to_owned(), password.to_owned());
        self.renew().await;
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.ask(&Ask {
            method: Method::GET,
            path,
            body: None,
            key: None,
            wait: 0,
        })
        .await
    }

    /// Asks again and again: an outage, an overload or a broken connection is no answer.
    pub(crate) async fn ask(&mut self, ask: &Ask<'_>) -> Answer {
        let mut pause = PAUSE_FIRST;
        for tries in 1.. {
            let what = format!("{} {}", ask.method, ask.path);
            match self.try_once(ask).await {
                Ok((401, _)) if !self.login.0.is_empty() => self.renew().await,
                Ok((status, data)) if is_answer(status, &data) => {
                    return Answer {
                        status,
                        data,
                        tries,
                    };
                }
                Ok((status, body)) if status >= 500 && !matches!(status, 503 | 504) => {
                    self.ledger.breakage(&what, status, &body.to_string());
                }
                Ok((status, body)) => self.ledger.interrupted(&what, &format!("{status} {body}")),
                Err(error) => {
                    let error = anyhow::Error::from(error);
                    self.ledger.interrupted(&what, &format!("{error:#}"));
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        unreachable!("the loop above has no end but return")
    }

    async fn try_once(&self, ask: &Ask<'_>) -> Result<(u16, Value), reqwest::Error> {
        let mut request = self.request(ask.method.clone(), ask.path);
        if let Some(key) = ask.key {
            request = request.header("idempotency-key", key);
        }
        if ask.wait > 0 {
            request = request.header("prefer", format!("wait={}", ask.wait));
        }
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok((status, content(response).await?))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        if self.token.is_empty() {
            request
        } else {
            request.bearer_auth(&self.token)
        }
    }

    async fn renew(&mut self) {
        let body = json!({"login": self.login.0, "password": self.login.1});
        let ask = Ask {
            method: Method::POST,
            path: "/auth/login",
            body: Some(body),
            key: None,
            wait: 0,
        };
        self.token.clear();
        let mut pause = PAUSE_FIRST;
        while self.token.is_empty() {
            if let Ok((200, tokens)) = self.try_once(&ask).await {
                tokens["access_token"]
                    .as_str()
                    .unwrap_or_default()
                    .clone_into(&mut self.token);
            } else {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// The data of a success, the error of anything else.
async fn content(response: Response) -> Result<Value, reqwest::Error> {
    let text = response.text().await?;
    let mut body: Value = serde_json::from_str(&text).unwrap_or_default();
    Ok(if body["error"].is_object() {
        body["error"].take()
    } else {
        body["data"].take()
    })
}

/// Another try would meet the same, except where the answer says that it need not.
fn is_answer(status: u16, error: &Value) -> bool {
    match status {
        409 => error["code"] != "REQUEST_IN_PROGRESS" && error["code"] != "VERSION_CONFLICT",
        408 | 429 => false,
        status => status < 500,
    }
}
