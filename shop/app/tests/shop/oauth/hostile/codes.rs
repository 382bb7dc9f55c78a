//! Codes that were stolen, used twice, or lay too long.

use std::time::Duration;

use crate::oauth::support::{CHALLENGE, DONE, VERIFIER, app, changed, refused};
use crate::support::{Shop, on_both_stores};

const ALL: &str = "openid offline_access shop";

on_both_stores! {
    a_stolen_code_is_worth_nothing_and_its_second_use_ends_what_the_first_began,
    of_many_uses_of_one_code_at_once_at_most_one_succeeds,
}

async fn a_stolen_code_is_worth_nothing_and_its_second_use_ends_what_the_first_began(shop: Shop) {
    shop.customer("ada").await;
    let kettle = shop.client(app("public")).await;
    let other = shop.client(app("public")).await;
    let code = shop.visitor().code(&kettle, "ada", ALL).await;
    let right = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", DONE),
        ("code_verifier", VERIFIER),
    ];
    let other_verifier = VERIFIER.replace('d', "e");
    for (by, change, error) in [
        (&other, ("", ""), "invalid_grant"),
        (&kettle, ("code_verifier", ""), "invalid_request"),
        (&kettle, ("code_verifier", CHALLENGE), "invalid_grant"),
        (&kettle, ("code_verifier", "short"), "invalid_grant"),
        (
            &kettle,
            ("code_verifier", other_verifier.as_str()),
            "invalid_grant",
        ),
        (&kettle, ("redirect_uri", ""), "invalid_request"),
        (
            &kettle,
            ("redirect_uri", "https://app.example/done/"),
            "invalid_grant",
        ),
        (
            &kettle,
            ("redirect_uri", "http://127.0.0.1:9/done"),
            "invalid_grant",
        ),
        (&kettle, ("code", ""), "invalid_request"),
        (&kettle, ("code", "ac_AAAA"), "invalid_grant"),
        (
            &kettle,
            ("grant_type", "password"),
            "unsupported_grant_type",
        ),
        (
            &kettle,
            ("grant_type", "implicit"),
            "unsupported_grant_type",
        ),
        (&kettle, ("grant_type", ""), "invalid_request"),
        (
            &kettle,
            ("grant_type", "client_credentials"),
            "unauthorized_client",
        ),
    ] {
        let fields = changed(&right, &[change]);
        refused(&shop.send("/oauth2/token", by, &fields).await, 400, error);
    }
    let tokens = shop.redeem(&kettle, &code).await.expect(200).json();
    let access = tokens["access_token"].as_str().unwrap();
    shop.userinfo(access).await.expect(200);
    // Another client cannot end the session by trying.
    refused(&shop.redeem(&other, &code).await, 400, "invalid_grant");
    shop.userinfo(access).await.expect(200);
    refused(&shop.redeem(&kettle, &code).await, 400, "invalid_grant");
    refused(&shop.userinfo(access).await, 401, "invalid_token");
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    refused(
        &shop.send("/oauth2/token", &kettle, &refresh).await,
        400,
        "invalid_grant",
    );
}

async fn of_many_uses_of_one_code_at_once_at_most_one_succeeds(shop: Shop) {
    shop.customer("ada").await;
    let kettle = shop.client(app("public")).await;
    let code = shop.visitor().code(&kettle, "ada", ALL).await;
    let uses = (0..20).map(|_| shop.redeem(&kettle, &code));
    let answers = futures_util::future::join_all(uses).await;
    let won: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .collect();
    assert_eq!(won.len(), 1);
    for lost in answers.iter().filter(|answer| answer.status != 200) {
        refused(lost, 400, "invalid_grant");
    }
    // The others were replays.
    let access = won[0].json()["access_token"].as_str().unwrap().to_owned();
    refused(&shop.userinfo(&access).await, 401, "invalid_token");
}

#[tokio::test]
async fn a_code_is_too_old_after_a_minute() {
    let shop = Shop::start().await;
    shop.customer("ada").await;
    let kettle = shop.client(app("public")).await;
    let code = shop.visitor().code(&kettle, "ada", ALL).await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    refused(&shop.redeem(&kettle, &code).await, 400, "invalid_grant");
}
