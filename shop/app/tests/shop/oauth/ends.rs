//! What ends a grant besides its time, who may ask about it, and what the log keeps of it.

use reqwest::Method;
use serde_json::json;

use super::support::{Visitor, answered, app, changed, form, refused};
use crate::support::{PASSWORD, Shop, on_both_stores};

const ALL: &str = "openid profile email offline_access shop order:read";

on_both_stores! {
    another_password_or_a_suspension_voids_a_code_that_waits,
    a_logout_everywhere_voids_a_code_that_waits_and_a_suspension_for_good,
    whoever_serves_others_may_ask_about_all_access_tokens_but_about_no_refresh_token,
    what_happened_is_in_the_log_and_nothing_personal_is,
    asking_with_a_query_is_what_a_browser_does_and_nobody_else,
}

async fn another_password_or_a_suspension_voids_a_code_that_waits(shop: Shop) {
    let kettle = shop.client(app("public")).await;
    let ada = shop.customer("ada").await;
    let code = shop.visitor().code(&kettle, "ada", ALL).await;
    let change = json!({"current_password": PASSWORD, "new_password": "another one altogether"});
    ada.post("/auth/password")
        .json(&change)
        .send()
        .await
        .expect(204);
    refused(&shop.redeem(&kettle, &code).await, 400, "invalid_grant");

    let bob = shop.customer("bob").await;
    let code = shop.visitor().code(&kettle, "bob", ALL).await;
    let path = format!("/users/{}/status", bob.id);
    let suspended = json!({"status": "suspended"});
    shop.admin()
        .await
        .put(&path)
        .json(&suspended)
        .send()
        .await
        .expect(200);
    refused(&shop.redeem(&kettle, &code).await, 400, "invalid_grant");
    // Nor does somebody suspended get another one; and it is told as a wrong password is.
    let again = shop.visitor().allow(&kettle, "bob", ALL).await;
    assert_eq!(again.status, 403);
    assert!(
        again.text.contains("The login or the password is wrong"),
        "{}",
        again.text
    );
}

async fn a_logout_everywhere_voids_a_code_that_waits_and_a_suspension_for_good(shop: Shop) {
    let kettle = shop.client(app("public")).await;
    let ada = shop.customer("ada").await;
    let code = shop.visitor().code(&kettle, "ada", ALL).await;
    let everywhere = json!({"all": true});
    let logout = ada.post("/auth/logout").json(&everywhere);
    logout.send().await.expect(204);
    refused(&shop.redeem(&kettle, &code).await, 400, "invalid_grant");

    let bob = shop.customer("bob").await;
    let code = shop.visitor().code(&kettle, "bob", ALL).await;
    let path = format!("/users/{}/status", bob.id);
    let admin = shop.admin().await;
    for status in ["suspended", "active"] {
        let change = admin.put(&path).json(&json!({"status": status}));
        change.send().await.expect(200);
    }
    refused(&shop.redeem(&kettle, &code).await, 400, "invalid_grant");
}

async fn whoever_serves_others_may_ask_about_all_access_tokens_but_about_no_refresh_token(
    shop: Shop,
) {
    let ada = shop.customer("ada").await;
    let kettle = shop.client(app("public")).await;
    let server = json!({
        "name": "Reports", "kind": "confidential", "grants": ["client_credentials"], "resource_server": true,
    });
    let reports = shop.client(server).await;
    let tokens = shop.sign_in(&kettle, "ada", ALL).await;
    for token in [tokens["access_token"].as_str().unwrap(), &ada.token] {
        assert_eq!(shop.introspected(&reports, token).await["active"], true);
    }
    for token in [tokens["refresh_token"].as_str().unwrap(), &ada.refresh] {
        assert_eq!(
            shop.introspected(&reports, token).await,
            json!({"active": false})
        );
    }
}

async fn what_happened_is_in_the_log_and_nothing_personal_is(shop: Shop) {
    shop.customer("ada").await;
    let kettle = shop.client(app("public")).await;
    let code = shop.visitor().code(&kettle, "ada", "openid").await;
    shop.redeem(&kettle, &code).await.expect(200);
    shop.redeem(&kettle, &code).await.expect(400);
    let path = format!("/clients/{}/disable", kettle.id);
    shop.ask_admin(Method::POST, &path).send().await.expect(200);

    let shown = ["log", "show", "identity", "--limit", "1000"];
    let streams = shop.operate(&shown).await.expect(0).out;
    for event in [
        "client_registered",
        "client_changed",
        "consent_given",
        "code_replayed",
    ] {
        assert!(streams.contains(event), "{event}: {streams}");
    }
    for personal in ["ada@", "Kettle", &code, PASSWORD, "n-1"] {
        assert!(!streams.contains(personal), "{personal}: {streams}");
    }
    let said = shop.process.stdout() + &shop.process.stderr();
    assert!(said.contains("an authorization code was used twice"));
    for secret in [code.as_str(), PASSWORD, "ada@example.com"] {
        assert!(!said.contains(secret), "{secret} was logged");
    }
}

async fn asking_with_a_query_is_what_a_browser_does_and_nobody_else(shop: Shop) {
    let kettle = shop.client(app("public")).await;
    let asks = Visitor::asks(&kettle, "openid");
    let none = changed(&asks, &[("prompt", "none")]);
    let sent = shop.visitor().open(&form(&none)).await.expect(303);
    assert_eq!(answered(&sent, "error"), "login_required");
    let document = shop
        .fetch("/.well-known/openid-configuration")
        .send()
        .await
        .expect(200);
    let document = document.json();
    let issuer = format!("http://{}", shop.address);
    assert_eq!(document["issuer"], issuer.as_str());
    assert_eq!(document["token_endpoint"], format!("{issuer}/oauth2/token"));
    assert_eq!(
        document["code_challenge_methods_supported"],
        json!(["S256"])
    );
    assert_eq!(
        document["authorization_response_iss_parameter_supported"],
        true
    );
}
