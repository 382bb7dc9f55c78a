//! How often a client may be wrong, and a person in front of the page.

use super::support::{DONE, Registered, VERIFIER, Visitor, app, changed, form, refused, service};
use crate::support::caller::Ask;
use crate::support::{Answer, PASSWORD, Shop};

/// The addresses of callers are what a proxy says, and little is enough.
const SETTINGS: [(&str, &str); 8] = [
    ("SHOP__IDENTITY__HASH_MEMORY_KIB", "64"),
    ("SHOP__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
    ("SHOP__IDENTITY__ATTEMPTS__NAME_BURST", "2"),
    ("SHOP__IDENTITY__ATTEMPTS__NAME_EVERY", "1h"),
    ("SHOP__IDENTITY__ATTEMPTS__TOKEN_BURST", "5"),
    ("SHOP__IDENTITY__ATTEMPTS__TOKEN_EVERY", "1h"),
    ("SHOP__IDENTITY__ATTEMPTS__TOKEN_CLIENT_BURST", "8"),
    ("SHOP__IDENTITY__ATTEMPTS__TOKEN_CLIENT_EVERY", "1h"),
];

const ATTACKER: &str = "203.0.113.1";
const HOME: &str = "198.51.100.7";

fn sent_by(
    shop: &Shop,
    path: &str,
    by: &Registered,
    fields: &[(&str, &str)],
    address: &str,
) -> Ask {
    let mut fields = fields.to_vec();
    fields.push(("client_id", &by.id));
    if let Some(secret) = &by.secret {
        fields.push(("client_secret", secret));
    }
    let ask = shop.send_form(path, &form(&fields));
    ask.header("x-forwarded-for", address)
}

#[track_caller]
fn limited(answer: &Answer) {
    refused(answer, 429, "temporarily_unavailable");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3_600).contains(&wait), "{wait}");
}

#[tokio::test]
async fn who_is_wrong_too_often_is_told_to_stop_and_shuts_nobody_out() {
    let shop = Shop::start_with(&SETTINGS).await;
    let robot = shop.client(service(&["order:read"])).await;
    let mut thief = robot.clone();
    thief.secret = Some(robot.secret.as_ref().unwrap().replacen("cs_", "cs_A", 1));
    let grant = [("grant_type", "client_credentials")];
    let ask = async |by: &Registered, address: &str| {
        let ask = sent_by(&shop, "/oauth2/token", by, &grant, address);
        ask.send().await
    };
    for _ in 0..5 {
        refused(&ask(&thief, ATTACKER).await, 401, "invalid_client");
    }
    // From there nobody is looked at any more.
    limited(&ask(&thief, ATTACKER).await);
    limited(&ask(&robot, ATTACKER).await);
    for _ in 0..3 {
        refused(&ask(&thief, HOME).await, 401, "invalid_client");
    }
    // Eight were wrong under this name, and what is right is right.
    limited(&ask(&thief, HOME).await);
    for _ in 0..10 {
        ask(&robot, HOME).await.expect(200);
    }
    // Whoever is right about itself is not asked how often, and who is wrong is counted here as well.
    let token = [("token", "x")];
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        for _ in 0..10 {
            let right = sent_by(&shop, path, &robot, &token, ATTACKER);
            right.send().await.expect(200);
        }
        let wrong = sent_by(&shop, path, &thief, &token, ATTACKER);
        limited(&wrong.send().await);
    }
}

#[tokio::test]
async fn wrong_codes_and_refresh_tokens_count_like_wrong_secrets() {
    let shop = Shop::start_with(&SETTINGS).await;
    shop.customer("ada").await;
    let kettle = shop.client(app("confidential")).await;
    let code = format!("ac_{}", "A".repeat(43));
    let code = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", DONE),
        ("code_verifier", VERIFIER),
    ];
    let refresh = format!("rt_{}", "A".repeat(43));
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh.as_str()),
    ];
    for nth in 0..5 {
        let fields: &[_] = if nth % 2 == 0 { &code } else { &refresh };
        let ask = sent_by(&shop, "/oauth2/token", &kettle, fields, ATTACKER);
        refused(&ask.send().await, 400, "invalid_grant");
    }
    let ask = sent_by(&shop, "/oauth2/token", &kettle, &code, ATTACKER);
    limited(&ask.send().await);
    // What is malformed guesses nothing.
    for _ in 0..10 {
        let none = [("grant_type", "password")];
        let ask = sent_by(&shop, "/oauth2/token", &kettle, &none, HOME);
        refused(&ask.send().await, 400, "unsupported_grant_type");
    }
    let tokens = shop.sign_in(&kettle, "ada", "openid offline_access").await;
    let right = tokens["refresh_token"].as_str().unwrap();
    let right = [("grant_type", "refresh_token"), ("refresh_token", right)];
    let ask = sent_by(&shop, "/oauth2/token", &kettle, &right, HOME);
    ask.send().await.expect(200);
}

#[tokio::test]
async fn who_makes_tokens_up_for_a_public_client_to_give_back_is_told_to_stop() {
    let shop = Shop::start_with(&SETTINGS).await;
    shop.customer("ada").await;
    let kettle = shop.client(app("public")).await;
    let robot = shop.client(service(&["order:read"])).await;
    let tokens = shop.sign_in(&kettle, "ada", "openid offline_access").await;
    let right = tokens["refresh_token"].as_str().unwrap();
    let give_back = async |by: &Registered, token: &str, address: &str| {
        let fields = [("token", token)];
        let ask = sent_by(&shop, "/oauth2/revoke", by, &fields, address);
        ask.send().await
    };
    // One that the process has not met would wait like anybody.
    give_back(&robot, "x", HOME).await.expect(200);
    for letter in ["A", "B", "C", "D", "E"] {
        let made_up = format!("rt_{}A", letter.repeat(42));
        give_back(&kettle, &made_up, ATTACKER).await.expect(200);
    }
    let made_up = format!("rt_{}A", "F".repeat(42));
    limited(&give_back(&kettle, &made_up, ATTACKER).await);
    // Who has proven who it is, or comes from elsewhere, is answered.
    give_back(&robot, &made_up, ATTACKER).await.expect(200);
    give_back(&kettle, right, HOME).await.expect(200);
}

#[tokio::test]
async fn a_browser_that_signed_in_before_gets_in_whatever_others_have_tried() {
    let shop = Shop::start_with(&SETTINGS).await;
    shop.customer("ada").await;
    let kettle = shop.client(app("public")).await;
    let asks = Visitor::asks(&kettle, "openid");
    let mut home = shop.visitor();
    let sent = home.allow(&kettle, "ada", "openid").await.expect(303);
    let set = sent.header("set-cookie").unwrap().to_owned();
    assert!(set.starts_with("device=dt_"), "{set}");
    assert!(
        set.contains("Path=/; Max-Age=15552000; HttpOnly; SameSite=Lax"),
        "{set}"
    );
    let device = set.split(';').next().unwrap();

    let submit = async |by: &Visitor, csrf: &str, password: &str, address: &str| {
        let yes = [
            ("csrf", csrf),
            ("decision", "allow"),
            ("login", "ada"),
            ("password", password),
        ];
        let ask = by.submit(&changed(&asks, &yes));
        ask.header("x-forwarded-for", address).send().await
    };
    let mut other = shop.visitor();
    other.open(&form(&asks)).await.expect(200);
    let csrf = other.csrf().to_owned();
    for _ in 0..2 {
        let wrong = submit(&other, &csrf, "not her password", ATTACKER).await;
        assert_eq!(wrong.status, 403);
    }
    let beyond = submit(&other, &csrf, PASSWORD, HOME).await;
    assert_eq!(beyond.status, 429, "{}", beyond.text);
    assert!(
        beyond.text.contains("Too many tries have failed"),
        "{}",
        beyond.text
    );
    assert!(beyond.header("retry-after").is_some());

    home.open(&form(&asks)).await.expect(200);
    let csrf = home.csrf().to_owned();
    home.cookie = format!("{}; {device}", home.cookie);
    let sent = submit(&home, &csrf, PASSWORD, ATTACKER).await.expect(303);
    assert_eq!(sent.header("set-cookie"), None, "it is known already");
}
