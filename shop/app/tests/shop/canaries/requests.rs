//! Requests that carry secrets, right and wrong ones, into everything that reads a request.

use reqwest::Method;
use serde_json::json;
use shop_contracts::grpc::user::v1::GetUserRequest;

use super::ledger::Ledger;
use super::{IN_A_PATH, KEY_OF_REQUEST, NAME, programs, value};
use crate::support::{Answer, Caller, Shop, items};

/// What was asked, and the text of the answer.
pub(super) type Answers = Vec<(String, String)>;

/// Sends them all; the answers, but for those that give a secret to whom it belongs.
pub(super) async fn send_all(
    shop: &Shop,
    ledger: &mut Ledger,
    settings: &[(String, String)],
    poison: &str,
) -> Answers {
    let mut answers = Answers::new();
    let ada = members(shop, ledger, settings, &mut answers).await;
    headers(shop, &ada, ledger, &mut answers).await;
    bodies(shop, &ada, ledger, &mut answers).await;
    orders(&ada, ledger, poison, &mut answers).await;
    operators(shop, ledger, &mut answers).await;
    calls(shop, ledger, &mut answers).await;
    let (bob, password) = bob(shop, ledger).await;
    let token = value(settings, "SHOP__ADMIN__TOKEN");
    programs::send_all(shop, &bob, &password, token, ledger, &mut answers).await;
    answers
}

/// Somebody else, with the password.
async fn bob(shop: &Shop, ledger: &mut Ledger) -> (Caller, String) {
    let password = ledger.plant("another password");
    let body = json!({"email": "bob@example.com", "username": "bob", "password": password});
    let mut bob = shop.anyone();
    bob.post("/users").json(&body).send().await.expect(201);
    bob.log_in("bob", &password).await;
    ledger.watch("bob's access token", &bob.token);
    ledger.watch("bob's refresh token", &bob.refresh);
    (bob, password)
}

pub(super) fn keep(answers: &mut Answers, answer: &Answer) {
    let headers = format!("{:?}", answer.headers);
    let asked = answer.asked.split('?').next().unwrap_or_default();
    answers.push((asked.to_owned(), format!("{headers}\n{}", answer.text)));
}

/// Registers, logs in and out, rightly and wrongly.
async fn members(
    shop: &Shop,
    ledger: &mut Ledger,
    settings: &[(String, String)],
    answers: &mut Answers,
) -> Caller {
    let mut admin = shop.anyone();
    let password = value(settings, "SHOP__IDENTITY__ADMIN_PASSWORD");
    admin.log_in("admin", password).await;
    ledger.watch("an administrator's access token", &admin.token);
    let password = ledger.plant("a password");
    let name = ledger.plant(NAME);
    let body = json!({
        "email": "ada@example.com", "username": "ada", "password": password, "first_name": name,
    });
    let mut ada = shop.anyone();
    let made = ada.post("/users").json(&body).send().await.expect(201);
    answers.push(("register".into(), made.text.replace(&name, "")));
    keep(
        answers,
        &ada.post("/users").json(&body).send().await.expect(409),
    );
    ada.log_in("ada", &password).await;
    let used = ada.refresh.clone();
    ledger.watch("a used refresh token", &used);
    ledger.watch("a first access token", &ada.token);
    let refresh = async |token: &str| {
        let body = json!({"refresh_token": token});
        shop.anyone().post("/auth/refresh").json(&body).send().await
    };
    let pair = refresh(&used).await.expect(200);
    ledger.watch("a refresh token", &pair.text_at("/refresh_token"));
    ledger.watch("an access token", &pair.text_at("/access_token"));
    keep(answers, &refresh(&used).await.expect(401));
    let wrong = ledger.plant("a refresh token of nobody");
    keep(answers, &refresh(&wrong).await.expect(401));
    let log_in = async |password: &str| {
        let body = json!({"login": "ada", "password": password});
        shop.anyone().post("/auth/login").json(&body).send().await
    };
    let wrong = ledger.plant("a wrong password");
    keep(answers, &log_in(&wrong).await.expect(401));
    let long = ledger.plant("a password that is too long");
    keep(answers, &log_in(&long.repeat(500)).await);
    let again = log_in(&password).await.expect(200);
    if let Some(proof) = again.header("device-token") {
        ledger.watch("a device's token", proof);
    }
    ada.token = again.text_at("/access_token");
    ada.refresh = again.text_at("/refresh_token");
    ledger.watch("the next access token", &ada.token);
    ledger.watch("the next refresh token", &ada.refresh);
    let (current, new) = (
        ledger.plant("a wrong current password"),
        ledger.plant("a new password"),
    );
    for current in [&current, &password] {
        let body = json!({"current_password": current, "new_password": new});
        keep(
            answers,
            &ada.post("/auth/password").json(&body).send().await,
        );
    }
    ada
}

/// Headers of every kind, to a route that wants a token and to one that there is not.
async fn headers(shop: &Shop, ada: &Caller, ledger: &mut Ledger, answers: &mut Answers) {
    let signed = ada.token.rsplit_once('.').unwrap().0;
    let schemes = [
        "Bearer ",
        "Basic ",
        "Digest username=",
        "ApiKey ",
        "Bearer  ",
        "",
    ];
    for scheme in schemes {
        let text = ledger.plant(&format!("credentials of the scheme {scheme:?}"));
        for path in ["/users/me", "/nowhere", "/products"] {
            let ask = shop.anyone().get(path);
            let ask = ask.header("authorization", &format!("{scheme}{text}"));
            keep(answers, &ask.send().await);
        }
    }
    let forged = ledger.plant("a forged signature");
    let forged = format!("Bearer {signed}.{forged}");
    keep(
        answers,
        &shop
            .anyone()
            .get("/users/me")
            .header("authorization", &forged)
            .send()
            .await,
    );
    for name in [
        "cookie",
        "x-api-key",
        "proxy-authorization",
        "device-token",
        "x-csrf-token",
        "baggage",
        "tracestate",
        "consistency-token",
        "if-match",
        "stripe-signature",
        "x-forwarded-for",
        "accept-language",
    ] {
        let text = ledger.plant(&format!("the header {name}"));
        let header = format!("a={text}");
        for ask in [
            ada.get("/products"),
            ada.delete("/products/NONE"),
            ada.post("/auth/login"),
        ] {
            keep(answers, &ask.header(name, &header).send().await);
        }
    }
    for (what, path) in [
        ("a query of a route", "/products?access_token="),
        ("a query of no route", "/nowhere?token="),
        ("a cursor", "/products?cursor="),
        ("a filter", "/products?in_stock="),
        ("a query of a login", "/auth/login?password="),
    ] {
        let text = ledger.plant(what);
        keep(answers, &ada.get(&format!("{path}{text}")).send().await);
    }
    let segment = ledger.plant(IN_A_PATH);
    for path in ["/users/", "/products/", "/nowhere/", "/auth/sessions/"] {
        keep(answers, &ada.get(&format!("{path}{segment}")).send().await);
    }
}

/// Bodies that are not what they should be.
async fn bodies(shop: &Shop, ada: &Caller, ledger: &mut Ledger, answers: &mut Answers) {
    type Written = fn(&str) -> String;
    let texts: [(&str, Written); 8] = [
        ("a password in a list", |text| {
            format!(r#"{{"login":"ada","password":["{text}"]}}"#)
        }),
        ("a password in an object", |text| {
            format!(r#"{{"login":"ada","password":{{"{text}":1}}}}"#)
        }),
        ("a secret where a number is wanted", |text| {
            format!(r#"{{"login":7,"password":"{text}"}}"#)
        }),
        ("an unknown field's value", |text| {
            format!(r#"{{"login":"a","password":"x","otp":"{text}"}}"#)
        }),
        ("JSON that breaks off", |text| {
            format!(r#"{{"login":"ada","password":"{text}"#)
        }),
        ("JSON with something behind it", |text| {
            format!(r#"{{"login":"a","password":"x"}} {text}"#)
        }),
        ("a member that comes twice", |text| {
            format!(r#"{{"login":"a","password":"x","password":"{text}"}}"#)
        }),
        ("a lone surrogate beside it", |text| {
            format!(r#"{{"login":"\ud800","password":"{text}"}}"#)
        }),
    ];
    for (what, body) in texts {
        let body = body(&ledger.plant(what));
        for path in ["/auth/login", "/auth/refresh", "/users", "/auth/password"] {
            let ask = ada.post(path).header("content-type", "application/json");
            keep(answers, &ask.body(body.clone()).send().await);
        }
    }
    let form = ledger.plant("a form");
    let ask = shop.anyone().post("/auth/login");
    let ask = ask.header("content-type", "application/x-www-form-urlencoded");
    keep(
        answers,
        &ask.body(format!("login=ada&password={form}")).send().await,
    );
    let zipped = ledger.plant("a body that is no gzip");
    let ask = shop.anyone().post("/auth/login");
    let ask = ask
        .header("content-type", "application/json")
        .header("content-encoding", "gzip");
    keep(answers, &ask.body(zipped).send().await);
    let hook = ledger.plant("a webhook's body");
    let ask = shop.anyone().post("/payments/webhook");
    keep(answers, &ask.json(&json!({"id": hook})).send().await);
}

/// An order whose payment fails, and one at which the shop panics.
async fn orders(ada: &Caller, ledger: &mut Ledger, poison: &str, answers: &mut Answers) {
    let method = format!("pm_{}", ledger.plant("a payment method"));
    let key = ledger.plant(KEY_OF_REQUEST);
    let placed = ada.post("/orders").key(&key).wait(3);
    keep(
        answers,
        &placed
            .json(&items(&[("MUG-BLUE", 1)], &method))
            .send()
            .await,
    );
    let broken = ada.post("/orders").key(&format!("{key}-2"));
    let broken = broken.json(&items(&[(poison, 1)], &method)).send().await;
    keep(answers, &broken.expect(500));
}

async fn operators(shop: &Shop, ledger: &mut Ledger, answers: &mut Answers) {
    let token = ledger.plant("a wrong operator's token");
    for path in ["/metrics", "/dead-letters", "/nowhere"] {
        let ask = shop.fetch_admin(&format!("{path}?token={token}"));
        keep(
            answers,
            &ask.header("authorization", &format!("Bearer {token}"))
                .send()
                .await,
        );
    }
    let odd = shop.anyone().ask(Method::OPTIONS, "/users/me");
    keep(
        answers,
        &odd.header("authorization", &format!("Bearer {token}"))
            .send()
            .await,
    );
}

async fn calls(shop: &Shop, ledger: &mut Ledger, answers: &mut Answers) {
    let token = ledger.plant("a call's token");
    let mut caller = shop.anyone();
    caller.token = token;
    let mut clients = shop.grpc().await;
    let id = "me".to_owned();
    let refused = clients
        .users
        .get_user(caller.call(GetUserRequest { id }))
        .await;
    answers.push(("GetUser".into(), format!("{refused:?}")));
    let id = ledger.plant("an id that is none");
    let refused = clients
        .users
        .get_user(caller.call(GetUserRequest { id }))
        .await;
    answers.push(("GetUser".into(), format!("{refused:?}")));
}
