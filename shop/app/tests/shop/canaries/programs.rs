//! Secrets that the shop makes for programs and for mails, used rightly and wrongly: of OAuth clients, API keys, letters.

use std::fs;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use serde_json::json;
use shop_contracts::grpc::user::v1::GetUserRequest;
use stanchion::auth::oauth::{Challenge, Parameters, encode};
use stanchion::auth::refresh::RefreshToken;

use super::ledger::Ledger;
use super::requests::{Answers, keep};
use crate::support::caller::Ask;
use crate::support::process::http_client;
use crate::support::{Answer, Caller, Shop, eventually};

const DONE: &str = "https://app.example/done";

/// A letter is written behind the request's back.
const WRITTEN_WITHIN: Duration = Duration::from_secs(20);

/// An OAuth client, and a browser that follows nothing.
struct Program<'a> {
    shop: &'a Shop,
    http: Client,
    id: String,
    secret: String,
}

/// Sends them all; `bob` has that password, `token` is the operator's.
pub(super) async fn send_all(
    shop: &Shop,
    bob: &Caller,
    password: &str,
    token: &str,
    ledger: &mut Ledger,
    answers: &mut Answers,
) {
    let program = registered(shop, token, ledger).await;
    program.proves(ledger, answers).await;
    program.acts_for_bob(password, ledger, answers).await;
    keys(shop, bob, ledger, answers).await;
    letters(shop, ledger, answers).await;
}

async fn registered<'a>(shop: &'a Shop, token: &str, ledger: &mut Ledger) -> Program<'a> {
    let http = http_client(Client::builder().redirect(Policy::none()));
    let plan = json!({
        "name": "Kettle", "kind": "confidential", "redirect_uris": [DONE],
        "grants": ["authorization_code", "refresh_token", "client_credentials"],
        "scopes": ["openid", "offline_access", "shop", "order:read"],
    });
    let url = format!("http://{}/clients", shop.admin_address);
    let asked = Ask::new(&http, Method::POST, url).json(&plan);
    let asked = asked.header("authorization", &format!("Bearer {token}"));
    let made = asked.send().await.expect(201).json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let (id, secret) = (text("client_id"), text("client_secret"));
    ledger.watch("a client's secret", &secret);
    Program {
        shop,
        http,
        id,
        secret,
    }
}

impl Program<'_> {
    fn ask(&self, path: &str, fields: &[(&str, &str)]) -> Ask {
        let pairs = fields.iter();
        let pairs = pairs.map(|(name, value)| format!("{name}={}", encode(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let url = format!("http://{}{path}", self.shop.address);
        Ask::new(&self.http, Method::POST, url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    }

    async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let own = [("client_id", &*self.id), ("client_secret", &*self.secret)];
        self.ask(path, &[fields, &own].concat()).send().await
    }

    /// By its secret, in each place that one may stand in, and in some where none may.
    async fn proves(&self, ledger: &mut Ledger, answers: &mut Answers) {
        let grant = ("grant_type", "client_credentials");
        let asked = [grant, ("scope", "order:read")];
        let own = self.send("/oauth2/token", &asked);
        let own = own.await.expect(200).json()["access_token"].clone();
        ledger.watch("a client's own token", own.as_str().unwrap());
        let wrong = ledger.plant("a client's wrong secret");
        for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"] {
            let fields = [grant, ("client_id", &*self.id), ("client_secret", &*wrong)];
            keep(answers, &self.ask(path, &fields).send().await.expect(401));
            let basic = STANDARD.encode(format!("{}:{wrong}", self.id));
            let asked = self.ask(path, &[grant]);
            let asked = asked.header("authorization", &format!("Basic {basic}"));
            keep(answers, &asked.send().await.expect(401));
            let query = format!("{path}?client_secret={wrong}&token={wrong}");
            keep(answers, &self.send(&query, &[grant]).await.expect(400));
        }
        let unknown = ledger.plant("a token of nobody");
        for path in ["/oauth2/introspect", "/oauth2/revoke"] {
            let told = self.send(path, &[("token", &unknown)]).await;
            keep(answers, &told.expect(200));
        }
    }

    /// What bob is asked for on the page, and the fields of it.
    async fn opened(&self, challenge: &str) -> (Answer, Vec<(&'static str, String)>) {
        let asks = [
            ("response_type", "code"),
            ("client_id", &*self.id),
            ("redirect_uri", DONE),
            ("scope", "openid offline_access shop"),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
        ];
        let asks = asks.map(|(name, value)| (name, value.to_owned()));
        let pairs = asks.iter();
        let pairs = pairs.map(|(name, value)| format!("{name}={}", encode(value)));
        let query = pairs.collect::<Vec<_>>().join("&");
        let url = format!("http://{}/oauth2/authorize?{query}", self.shop.address);
        let opened = Ask::new(&self.http, Method::GET, url).send().await;
        (opened.expect(200), asks.to_vec())
    }

    /// Bob signs in, with a wrong password first; the code.
    async fn signs_in(
        &self,
        challenge: &str,
        password: &str,
        ledger: &mut Ledger,
        answers: &mut Answers,
    ) -> String {
        let (page, asks) = self.opened(challenge).await;
        let cookie = page.header(SET_COOKIE.as_str()).unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let csrf = cookie.split_once('=').unwrap().1;
        ledger.watch("the word of the page", csrf);
        let wrong = ledger.plant("a wrong password on the page");
        let submit = async |password: &str| {
            let asks = asks.iter().map(|(name, value)| (*name, value.as_str()));
            let mut fields: Vec<_> = asks.collect();
            fields.extend([("csrf", csrf), ("decision", "allow")]);
            fields.extend([("login", "bob"), ("password", password)]);
            let asked = self.ask("/oauth2/authorize", &fields);
            asked.header("cookie", &cookie).send().await
        };
        let refused = submit(&wrong).await.expect(403);
        // The page has its own word.
        answers.push(("the page".into(), refused.text.replace(csrf, "")));
        let sent = submit(password).await.expect(303);
        let place = sent.header(LOCATION.as_str()).unwrap();
        let query = place.split_once('?').unwrap().1;
        let query = Parameters::parse(query.as_bytes()).unwrap();
        let code = query.get("code").unwrap().to_owned();
        ledger.watch("a code", &code);
        code
    }

    /// A code is redeemed wrongly, rightly, and once more, which ends what it became.
    async fn acts_for_bob(&self, password: &str, ledger: &mut Ledger, answers: &mut Answers) {
        // Random and long enough for a verifier, and its SHA-256 is at hand.
        let verifier = RefreshToken::generate();
        let challenge = Challenge::from(*verifier.hash().as_bytes()).text();
        let verifier = verifier.expose();
        ledger.watch("a verifier", verifier);
        let code = self.signs_in(&challenge, password, ledger, answers).await;
        let wrong = ledger.plant("a wrong verifier").repeat(3);
        let redeem = async |verifier: &str| {
            let fields = [
                ("grant_type", "authorization_code"),
                ("code", &*code),
                ("redirect_uri", DONE),
                ("code_verifier", verifier),
            ];
            self.send("/oauth2/token", &fields).await
        };
        keep(answers, &redeem(&wrong).await.expect(400));
        let tokens = redeem(verifier).await.expect(200).json();
        for name in ["access_token", "refresh_token", "id_token"] {
            let token = tokens[name].as_str().unwrap();
            ledger.watch(&format!("a client's {name}"), token);
        }
        keep(answers, &redeem(verifier).await.expect(400));
        let ended = tokens["refresh_token"].as_str().unwrap();
        let fields = [("grant_type", "refresh_token"), ("refresh_token", ended)];
        let refused = self.send("/oauth2/token", &fields).await;
        keep(answers, &refused.expect(400));
    }
}

/// An API key where it belongs, where it does not, and after its end.
async fn keys(shop: &Shop, bob: &Caller, ledger: &mut Ledger, answers: &mut Answers) {
    let made = bob.post("/auth/api-keys").json(&json!({"name": "a key"}));
    let made = made.send().await.expect(201);
    let (key, id) = (made.text_at("/key"), made.text_at("/id"));
    ledger.watch("an API key", &key);
    let mut bearer = shop.anyone();
    bearer.token.clone_from(&key);
    keep(
        answers,
        &bearer.get("/auth/sessions").send().await.expect(403),
    );
    keep(answers, &bob.get("/auth/api-keys").send().await.expect(200));
    let wrong = ledger.plant("an API key of nobody");
    for text in [&key, &wrong] {
        let anyone = shop.anyone();
        let query = anyone.get(&format!("/products?api_key={text}"));
        keep(answers, &query.send().await);
        let header = anyone.get("/users/me").header("x-api-key", text);
        keep(answers, &header.send().await.expect(401));
        let body = json!({"refresh_token": text});
        let asked = anyone.post("/auth/refresh").json(&body);
        keep(answers, &asked.send().await.expect(401));
    }
    let revoke = bob.delete(&format!("/auth/api-keys/{id}"));
    keep(answers, &revoke.send().await.expect(204));
    keep(answers, &bearer.get("/users/me").send().await.expect(401));
    let call = bearer.call(GetUserRequest { id: "me".into() });
    let refused = shop.grpc().await.users.get_user(call).await;
    answers.push(("GetUser by a key".into(), format!("{refused:?}")));
}

/// A letter's token with a password that is none, rightly, and once more.
async fn letters(shop: &Shop, ledger: &mut Ledger, answers: &mut Answers) {
    let asked = shop.anyone().post("/auth/password/reset");
    let asked = asked.json(&json!({"email": "bob@example.com"}));
    keep(answers, &asked.send().await.expect(202));
    let folder = shop.data().join("mail");
    let token = eventually("a letter is written", WRITTEN_WITHIN, || async {
        let files = fs::read_dir(&folder).ok()?;
        let mut texts = files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
        let letter = texts.find(|text| text.contains("Choose a new password"))?;
        // Lines of a letter may be broken anywhere.
        let letter = letter.replace("=\r\n", "");
        let token = &letter[letter.find("ot_")?..];
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        Some(token.chars().take_while(plain).collect::<String>())
    })
    .await;
    ledger.watch("a letter's token", &token);
    let password = ledger.plant("a password by a letter");
    for (token, password, status) in [
        (&*token, "short", 422),
        (
            &*ledger.plant("a letter's token of nobody"),
            &*password,
            422,
        ),
        (&*token, &*password, 204),
        (&*token, &*password, 422),
    ] {
        let body = json!({"token": token, "new_password": password});
        let asked = shop.anyone().post("/auth/password/reset/confirmation");
        keep(answers, &asked.json(&body).send().await.expect(status));
    }
}
