//! Mails and API keys, as a process has them that is killed, and one that is several.

use std::fs;

use serde_json::{Value, json};
use shop_cluster::Broker;
use stanchion::auth::api_key::ApiKey;
use stanchion_testing::servers::{Nats, Smtp};

use crate::support::{Caller, PASSWORD, STOPPED_WITHIN, Shop, eventually, item};

const NEW_PASSWORD: &str = "an even better password";

/// The token that a text shows, as it stands in a mail: quoted-printable lines may break it.
fn token_in(text: &str) -> Option<String> {
    let text = text.replace("=\r\n", "").replace("=\\r\\n", "");
    let from = text.find("ot_")?;
    let token: String = text[from..]
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        .collect();
    Some(token)
}

async fn choose_password(shop: &Shop, token: &str) {
    let body = json!({"token": token, "new_password": NEW_PASSWORD});
    let path = "/auth/password/reset/confirmation";
    let chosen = shop.anyone().post(path).json(&body).send().await;
    chosen.expect(204);
    let login = json!({"login": "ada", "password": NEW_PASSWORD});
    let login = shop.anyone().post("/auth/login").json(&login).send().await;
    login.expect(200);
}

async fn forget_password(shop: &Shop) {
    let body = json!({"email": "ada@example.com"});
    let asked = shop.anyone().post("/auth/password/reset").json(&body);
    asked.send().await.expect(202);
}

#[tokio::test]
async fn without_any_setting_mails_are_files_beside_the_store() {
    let shop = Shop::start().await;
    shop.customer("ada").await;
    forget_password(&shop).await;
    let folder = shop.data().join("mail");
    let token = eventually("a mail is a file", STOPPED_WITHIN, || async {
        let files = fs::read_dir(&folder).ok()?;
        let mut texts = files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
        token_in(&texts.find(|text| text.contains("Choose a new password"))?)
    })
    .await;
    choose_password(&shop, &token).await;
}

#[tokio::test]
async fn a_mail_that_was_asked_for_comes_although_the_process_is_killed() {
    let Some(mut server) = Smtp::required() else {
        return;
    };
    let url = format!("smtp+plain://{}", server.address());
    let settings = [
        ("SHOP__IDENTITY__MAIL__URL", url.as_str()),
        ("SHOP__IDENTITY__MAIL__TIMEOUT", "2s"),
    ];
    let mut shop = Shop::start_with(&settings).await;
    shop.customer("ada").await;
    server.pause().unwrap();
    forget_password(&shop).await;
    shop.kill();
    server.resume().unwrap();
    shop.restart().await;
    let token = eventually("the mail comes", STOPPED_WITHIN, || async {
        let mails = server.mails().unwrap();
        token_in(
            mails
                .iter()
                .rfind(|mail| mail.contains("Choose a new password"))?,
        )
    })
    .await;
    choose_password(&shop, &token).await;
}

async fn api_key(owner: &Caller, scopes: &Value) -> (String, String) {
    let body = json!({"name": "a key", "scopes": scopes});
    let made = owner.post("/auth/api-keys").json(&body).send().await;
    let made = made.expect(201);
    (made.text_at("/key"), made.text_at("/id"))
}

#[tokio::test]
async fn a_key_is_known_to_every_service_and_refused_by_all_within_a_second() {
    let Some(nats) = Nats::required() else {
        return;
    };
    let shop = Shop::start_in_services(Broker::At(nats.url())).await;
    let Some(shop) = shop else { return };
    shop.stocked().await;
    let ada = shop.customer("ada").await;
    let order = ada.order(&item("MUG-BLUE", 1)).await;
    let (key, id) = api_key(&ada, &json!([])).await;
    let mut bearer = shop.anyone();
    bearer.token = key;
    // Orders run elsewhere, and ask identity who bears the key.
    let token = &order.meta()["consistency_token"];
    let seen = bearer
        .get("/orders")
        .header("consistency-token", token.as_str().unwrap());
    let seen = seen.send().await.expect(200);
    assert_eq!(seen.meta()["total"], 1, "{} of {order:?}", seen.text);
    let stock = json!({"delta": 1, "reason": "delivery"});
    let refused = bearer.post("/products/MUG-BLUE/stock").json(&stock);
    refused.send().await.expect_error(403, "FORBIDDEN");

    let revoked = ada.delete(&format!("/auth/api-keys/{id}")).send().await;
    revoked.expect(204);
    tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    for path in ["/orders", "/users/me", "/payments"] {
        let refused = bearer.get(path).send().await;
        refused.expect_error(401, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn keys_that_somebody_makes_up_are_counted_by_services_that_ask_identity() {
    let Some(nats) = Nats::required() else {
        return;
    };
    let shop = Shop::start_in_services_as(Broker::At(nats.url()), |plan| {
        for (name, value) in [("TOKEN_BURST", "5"), ("TOKEN_EVERY", "1h")] {
            let name = format!("SHOP__IDENTITY__ATTEMPTS__{name}");
            plan.settings.push((name, value.to_owned()));
        }
    });
    let Some(shop) = shop.await else { return };
    let ada = shop.customer("ada").await;
    let (key, _) = api_key(&ada, &json!([])).await;
    let mut bearer = shop.anyone();
    bearer.token = key;
    bearer.get("/orders").send().await.expect(200);

    let mut made_up = shop.anyone();
    for nth in 0..20 {
        made_up.token = ApiKey::generate().expose().to_owned();
        let answer = made_up.get("/orders").send().await;
        if nth < 5 {
            answer.expect_error(401, "UNAUTHENTICATED");
        } else {
            let answer = answer.expect_error(429, "RATE_LIMITED");
            assert!(answer.header("retry-after").is_some(), "{nth}");
        }
    }
    // What lets somebody in there does so whatever else comes from the same address.
    bearer.get("/orders").send().await.expect(200);
    ada.get("/orders").send().await.expect(200);
}

/// Settings of peppers, made of the letters of their texts; none is an empty text.
async fn with_peppers(shop: &mut Shop, current: char, former: char) {
    let text = |letter: char| letter.to_string().repeat(42) + "A=";
    shop.kill();
    let settings = [
        ("SHOP__IDENTITY__PASSWORD_PEPPER", text(current)),
        ("SHOP__IDENTITY__OTHER_PASSWORD_PEPPER", text(former)),
    ];
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    shop.restart_with(&settings).await.unwrap();
}

async fn login(shop: &Shop, name: &str) -> u16 {
    let body = json!({"login": name, "password": PASSWORD});
    let answer = shop.anyone().post("/auth/login").json(&body).send().await;
    answer.status
}

#[tokio::test]
async fn a_pepper_takes_over_with_each_login_and_is_needed_from_then_on() {
    let mut shop = Shop::start().await;
    shop.customer("ada").await;
    shop.customer("bob").await;
    with_peppers(&mut shop, 'A', 'A').await;
    assert_eq!(login(&shop, "ada").await, 200, "from a hash without one");
    with_peppers(&mut shop, 'B', 'A').await;
    assert_eq!(
        login(&shop, "ada").await,
        200,
        "from a hash with the former one"
    );
    with_peppers(&mut shop, 'B', 'C').await;
    assert_eq!(
        login(&shop, "ada").await,
        200,
        "the former one is needed no more"
    );
    with_peppers(&mut shop, 'C', 'D').await;
    assert_eq!(
        login(&shop, "ada").await,
        401,
        "without it nobody can tell the password"
    );
    assert_eq!(
        login(&shop, "bob").await,
        200,
        "who has not logged in has none yet"
    );
}
