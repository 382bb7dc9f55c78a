//! One caller of the REST API, who repeats a request until it is answered for good.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::ledger::Ledger;

/// The first pause between two tries, doubled up to the last one.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// A try that takes longer is given up and repeated.
const TRY_TIMEOUT: Duration = Duration::from_secs(20);
/// Who is told to come back later than this comes back after this.
const TOLD_MAX: Duration = Duration::from_secs(5);
/// Who is shed for longer is not served.
const SHED_MAX: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
    login: (String, String),
    dice: StdRng,
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
    pub(crate) fn new(url: &str, seed: u64, ledger: Arc<Ledger>) -> anyhow::Result<Self> {
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
            dice: StdRng::seed_from_u64(seed),
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

    /// Asks until it is answered, with another token when the one at hand is not taken any more.
    pub(crate) async fn ask(&mut self, ask: &Ask<'_>) -> Answer {
        let mut tries = 0;
        loop {
            let mut answer = self.until_answered(ask).await;
            answer.tries += tries;
            if answer.status != 401 || self.login.0.is_empty() {
                return answer;
            }
            tries = answer.tries;
            self.renew().await;
            tokio::time::sleep(PAUSE_FIRST).await;
        }
    }

    /// Asks again and again: an outage, an overload or a broken connection is no answer.
    async fn until_answered(&mut self, ask: &Ask<'_>) -> Answer {
        let what = format!("{} {}", ask.method, ask.path);
        let mut pause = PAUSE_FIRST;
        let mut shed_since: Option<Instant> = None;
        for tries in 1.. {
            let mut wait = pause;
            match self.try_once(ask).await {
                Ok(said) => match said.verdict() {
                    Verdict::Final => return said.answer(tries),
                    Verdict::Shed(told) => {
                        self.ledger.shed(&what, said.status);
                        let since = *shed_since.get_or_insert_with(Instant::now);
                        if since.elapsed() > SHED_MAX {
                            let why = format!("shed for {:.0?}", since.elapsed());
                            self.ledger.breakage(&what, said.status, &why);
                        }
                        wait = pause.max(self.later(told));
                    }
                    Verdict::Interrupted => self.ledger.interrupted(&what, &said.to_string()),
                    Verdict::Broken => {
                        self.ledger
                            .breakage(&what, said.status, &said.data.to_string());
                    }
                },
                Err(error) => {
                    let error = anyhow::Error::from(error);
                    self.ledger.interrupted(&what, &format!("{error:#}"));
                }
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        unreachable!("the loop above has no end but return")
    }

    /// As long as told and up to as long again: who was shed together would come back together.
    fn later(&mut self, told: Duration) -> Duration {
        let told = told.min(TOLD_MAX);
        told + self.dice.random_range(Duration::ZERO..=told)
    }

    async fn try_once(&self, ask: &Ask<'_>) -> Result<Said, reqwest::Error> {
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
        Ok(Said {
            status: response.status().as_u16(),
            retry_after: retry_after(response.headers()),
            data: content(response).await?,
        })
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
        loop {
            let answer = self.until_answered(&ask).await;
            if let Some(token) = answer.data["access_token"].as_str() {
                return token.clone_into(&mut self.token);
            }
            // Whoever logs in is registered.
            let why = format!("{} {}", answer.status, answer.data);
            self.ledger.interrupted("POST /auth/login", &why);
            tokio::time::sleep(PAUSE_MAX).await;
        }
    }
}

/// What the shop said to one try.
struct Said {
    status: u16,
    /// When it may be asked again, as it says.
    retry_after: Option<Duration>,
    data: Value,
}

/// What that means to who asked.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Another try would meet the same.
    Final,
    /// There is more to do than can be done, and nothing was begun: a right answer, to be repeated after so long.
    Shed(Duration),
    /// An outage, or somebody is at it already: to be repeated.
    Interrupted,
    /// What no client should ever see.
    Broken,
}

impl Said {
    fn verdict(&self) -> Verdict {
        let code = self.data["code"].as_str().unwrap_or_default();
        match (self.status, self.retry_after) {
            (503, Some(wait)) if code == "OVERLOADED" => Verdict::Shed(wait),
            (429, Some(wait)) => Verdict::Shed(wait),
            (408 | 429 | 503 | 504, _) => Verdict::Interrupted,
            // Another try would meet the same, except where the answer says that it need not.
            (409, _) if matches!(code, "REQUEST_IN_PROGRESS" | "VERSION_CONFLICT") => {
                Verdict::Interrupted
            }
            (status, _) if status >= 500 => Verdict::Broken,
            _ => Verdict::Final,
        }
    }

    fn answer(self, tries: u32) -> Answer {
        Answer {
            status: self.status,
            data: self.data,
            tries,
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.data)
    }
}

/// In seconds; a date is not what the shop says.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(seconds.parse().ok()?))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, retry_after: Option<u64>, code: &str) -> Verdict {
        let said = Said {
            status,
            retry_after: retry_after.map(Duration::from_secs),
            data: json!({"code": code}),
        };
        said.verdict()
    }

    #[test]
    fn only_who_says_that_nothing_was_begun_and_when_to_come_back_has_shed() {
        let shed = Verdict::Shed(Duration::from_secs(1));
        assert_eq!(verdict(503, Some(1), "OVERLOADED"), shed);
        assert_eq!(verdict(429, Some(1), "RATE_LIMITED"), shed);
        assert_eq!(verdict(503, None, "OVERLOADED"), Verdict::Interrupted);
        assert_eq!(verdict(503, Some(1), "UNAVAILABLE"), Verdict::Interrupted);
        assert_eq!(
            verdict(504, None, "DEADLINE_EXCEEDED"),
            Verdict::Interrupted
        );
        assert_eq!(verdict(500, Some(1), "OVERLOADED"), Verdict::Broken);
    }

    #[test]
    fn a_refusal_is_final_unless_it_says_that_it_need_not_be() {
        assert_eq!(verdict(409, None, "EMAIL_TAKEN"), Verdict::Final);
        assert_eq!(verdict(409, None, "VERSION_CONFLICT"), Verdict::Interrupted);
        assert_eq!(verdict(202, None, ""), Verdict::Final);
    }
}
