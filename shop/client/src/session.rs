use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use stanchion_client::{Call, ClientError, ExposeSecret, Response, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::api::data;
use crate::{ShopClient, ShopError};

/// A token with less life than this is renewed before it is used.
const LIFE_MIN: Duration = Duration::from_secs(30);

/// Somebody who has logged in; clones are the same session.
///
/// The access token is renewed when it is about to end, by one call at a time: a refresh token is good for one use.
/// Both are only in memory.
#[derive(Clone)]
pub struct Session {
    shop: ShopClient,
    tokens: Arc<Mutex<Tokens>>,
}

struct Tokens {
    access: SecretString,
    refresh: SecretString,
    ends: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    refresh_token: SecretString,
    expires_in: u64,
}

#[derive(Serialize)]
struct Credentials<'a> {
    login: &'a str,
    password: &'a str,
}

#[derive(Serialize)]
struct Renewal<'a> {
    refresh_token: &'a str,
}

impl ShopClient {
    /// Logs in with e-mail address or username.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` for a wrong one, and what any call can end with.
    pub async fn log_in(&self, login: &str, password: &SecretString) -> Result<Session, ShopError> {
        let password = password.expose_secret();
        let call = self.call(Method::POST, "/auth/login");
        let answer = call.json(&Credentials { login, password }).send().await?;
        let tokens = Arc::new(Mutex::new(Tokens::of(data(&answer)?)));
        let shop = self.clone();
        Ok(Session { shop, tokens })
    }
}

impl Session {
    /// The shop, as anybody sees it.
    #[must_use]
    pub fn shop(&self) -> &ShopClient {
        &self.shop
    }

    /// Ends the session at the shop as well.
    ///
    /// # Errors
    /// [`ShopError`]; the session may live on then.
    pub async fn log_out(self) -> Result<(), ShopError> {
        let body = serde_json::json!({});
        let sent = self.send(|shop| shop.call(Method::POST, "/auth/logout").json(&body));
        sent.await.map(drop)
    }

    /// Gets other tokens now. It is never sent twice: a refresh token that is used again ends the session.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when the session has ended: log in again.
    pub async fn refresh(&self) -> Result<(), ShopError> {
        let session = self.clone();
        whole(async move {
            let mut tokens = session.tokens.lock().await;
            session.renew(&mut tokens).await
        })
        .await
    }

    /// Sends a call as this caller, with a token that lives; one that the shop does not take any more is renewed once.
    pub(crate) async fn send<'s>(
        &'s self,
        call: impl Fn(&'s ShopClient) -> Call<'s>,
    ) -> Result<Response, ShopError> {
        let token = self.token(None).await?;
        match call(&self.shop).bearer(&token).send().await {
            Err(error) if is_unauthenticated(&error) => {
                let other = self.token(Some(&token)).await?;
                Ok(call(&self.shop).bearer(&other).send().await?)
            }
            sent => Ok(sent?),
        }
    }

    /// A token that lives and is not `refused`.
    async fn token(&self, refused: Option<&SecretString>) -> Result<SecretString, ShopError> {
        {
            let tokens = self.tokens.lock().await;
            if tokens.lives(refused) {
                return Ok(tokens.access.clone());
            }
        }
        let (session, refused) = (self.clone(), refused.cloned());
        whole(async move {
            let mut tokens = session.tokens.lock().await;
            if !tokens.lives(refused.as_ref()) {
                session.renew(&mut tokens).await?;
            }
            Ok(tokens.access.clone())
        })
        .await
    }

    async fn renew(&self, tokens: &mut Tokens) -> Result<(), ShopError> {
        let refresh_token = tokens.refresh.expose_secret();
        let call = self.shop.call(Method::POST, "/auth/refresh");
        let answer = call.json(&Renewal { refresh_token }).send().await?;
        *tokens = Tokens::of(data(&answer)?);
        Ok(())
    }
}

/// Runs a renewal to its end even if whoever asked for it goes away: the shop has taken the old token then, and what it
/// gave for it must not be lost.
#[expect(
    clippy::disallowed_methods,
    reason = "outside users have no runtime of ours"
)]
async fn whole<T: Send + 'static>(
    renewal: impl Future<Output = Result<T, ShopError>> + Send + 'static,
) -> Result<T, ShopError> {
    let renewed = tokio::spawn(renewal).await;
    renewed.unwrap_or_else(|failed| Err(ShopError::NotUnderstood(failed.to_string())))
}

fn is_unauthenticated(error: &ClientError) -> bool {
    error.status() == Some(StatusCode::UNAUTHORIZED)
}

impl Tokens {
    /// Whether the access token can still be used, and is not the one that was `refused`.
    fn lives(&self, refused: Option<&SecretString>) -> bool {
        let is_refused =
            refused.is_some_and(|refused| refused.expose_secret() == self.access.expose_secret());
        !is_refused && Instant::now() + LIFE_MIN < self.ends
    }

    fn of(granted: Granted) -> Self {
        Self {
            access: granted.access_token,
            refresh: granted.refresh_token,
            ends: Instant::now() + Duration::from_secs(granted.expires_in),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::Duration;

    use super::*;

    /// How long the shop takes to renew a session, and how long its caller waits.
    const TAKES: Duration = Duration::from_millis(400);
    const WAITS: Duration = Duration::from_millis(100);

    /// A shop that gives each token once, numbered, and tells the body of what it was asked.
    fn shop() -> (String, Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (told, asked) = mpsc::channel();
        let shop = std::thread::Builder::new().name("shop".into());
        let serving = shop.spawn(move || {
            let mut calls = listener.incoming().enumerate();
            // It ends with the test, which listens no more.
            while let Some((number, Ok(stream))) = calls.next() {
                if answer(stream, number, &told).is_none() {
                    return;
                }
            }
        });
        serving.unwrap();
        (url, asked)
    }

    fn answer(mut stream: TcpStream, number: usize, told: &Sender<String>) -> Option<()> {
        let mut request = Vec::new();
        let mut piece = [0; 4096];
        while !request.ends_with(b"}") {
            let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
            request.extend_from_slice(&piece[..read]);
        }
        let request = String::from_utf8(request).ok()?;
        let (head, body) = request.split_once("\r\n\r\n")?;
        told.send(body.to_owned()).ok()?;
        if head.contains("/auth/refresh") {
            std::thread::sleep(TAKES);
        }
        let body = format!(
            r#"{{"data":{{"access_token":"a{number}","refresh_token":"r{number}","expires_in":1}}}}"#
        );
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).ok()
    }

    #[tokio::test]
    async fn a_renewal_outlives_its_caller_and_the_token_that_it_got_is_kept() {
        let (url, asked) = shop();
        let shop = ShopClient::new(&url).unwrap();
        let ada = shop.log_in("ada", &"a password".into()).await.unwrap();
        let gone = tokio::time::timeout(WAITS, ada.refresh()).await;
        assert!(gone.is_err(), "its caller went away");
        // The next one waits for the renewal that is under way, and pays with what it gave.
        ada.refresh().await.unwrap();
        let asked: Vec<String> = asked.try_iter().skip(1).collect();
        let with = |token: &str| format!(r#"{{"refresh_token":"{token}"}}"#);
        assert_eq!(asked, [with("r0"), with("r1")]);
    }
}
