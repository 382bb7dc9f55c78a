//! Tokens from the first to the last: what each is good for, and what ends it.

use reqwest::Method;
use serde_json::json;

use super::support::{Visitor, answered, app, changed, form, refused, service};
use crate::support::{PASSWORD, Shop};

const ALL: &str = "openid profile email offline_access shop order:read";

#[tokio::test]
async fn a_service_gets_a_token_asks_what_it_is_worth_and_gives_it_back() {
    let shop = Shop::start().await;
    let robot = shop.client(service(&["order:read", "payment:read"])).await;
    let grant = [
        ("grant_type", "client_credentials"),
        ("scope", "order:read"),
    ];
    let answer = shop.send("/oauth2/token", &robot, &grant).await.expect(200);
    let tokens = answer.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(
        (&tokens["expires_in"], &tokens["scope"]),
        (&json!(900), &json!("order:read"))
    );
    assert!(tokens["refresh_token"].is_null());
    assert_eq!(answer.header("cache-control"), Some("no-store"));

    let token = tokens["access_token"].as_str().unwrap();
    let mut caller = shop.anyone();
    caller.token = token.to_owned();
    caller.get("/orders").send().await.expect(200);
    caller.get("/payments").send().await.expect(403);
    caller.get("/users/me").send().await.expect(403);

    let told = shop.introspected(&robot, token).await;
    assert_eq!(told["active"], true);
    assert_eq!(
        (&told["scope"], &told["client_id"]),
        (&json!("order:read"), &json!(robot.id))
    );
    assert_eq!(told["sub"], format!("client:{}", robot.id));
    for text in ["iss", "jti"] {
        assert!(told[text].is_string(), "{told}");
    }
    assert_eq!(
        told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(),
        900
    );

    let gone = shop
        .send("/oauth2/revoke", &robot, &[("token", token)])
        .await;
    assert_eq!((gone.status, gone.text.as_str()), (200, ""));
    assert_eq!(
        shop.introspected(&robot, token).await,
        json!({"active": false})
    );
    caller.get("/orders").send().await.expect(401);
}

#[tokio::test]
async fn a_user_signs_in_and_the_client_acts_within_what_was_granted() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let kettle = shop.client(app("confidential")).await;
    let sent = shop.visitor().allow(&kettle, "ada", ALL).await.expect(303);
    assert_eq!(answered(&sent, "state"), "s-1");
    assert_eq!(answered(&sent, "iss"), format!("http://{}", shop.address));
    let tokens = shop
        .redeem(&kettle, &answered(&sent, "code"))
        .await
        .expect(200)
        .json();
    let access = tokens["access_token"].as_str().unwrap();

    let mut caller = shop.anyone();
    caller.token = access.to_owned();
    let me = caller.get("/users/me").send().await.expect(200);
    assert_eq!(me.text_at("/id"), ada.id);
    // A customer has no permission that a scope could give to somebody else.
    caller.get("/users").send().await.expect(403);
    let told = shop.introspected(&kettle, access).await;
    assert_eq!(told["scope"], "email offline_access openid profile shop");
    assert_eq!(told["sub"], ada.id.as_str());

    let info = shop.userinfo(access).await.expect(200).json();
    assert_eq!(info["sub"], ada.id.as_str());
    assert_eq!(
        (&info["preferred_username"], &info["email"]),
        (&json!("ada"), &json!("ada@example.com"))
    );

    let list = ada.get("/auth/sessions").send().await.expect(200).data();
    let devices: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["device"])
        .collect();
    assert!(devices.contains(&&json!("Kettle & Co")), "{devices:?}");
}

#[tokio::test]
async fn without_the_scope_to_act_a_token_is_for_userinfo_alone() {
    let shop = Shop::start().await;
    shop.customer("ada").await;
    let kettle = shop.client(app("public")).await;
    let tokens = shop.sign_in(&kettle, "ada", "openid").await;
    assert!(tokens["refresh_token"].is_null() && tokens["id_token"].is_string());
    let access = tokens["access_token"].as_str().unwrap();
    let info = shop.userinfo(access).await.expect(200).json();
    assert_eq!(info.as_object().unwrap().len(), 1, "{info}");
    let mut caller = shop.anyone();
    for token in [access, tokens["id_token"].as_str().unwrap()] {
        caller.token = token.to_owned();
        caller.get("/users/me").send().await.expect(401);
    }
    let own = shop.customer("bob").await;
    refused(&shop.userinfo(&own.token).await, 403, "insufficient_scope");
}

#[tokio::test]
async fn a_refresh_token_rotates_and_a_second_use_ends_everything() {
    let shop = Shop::start().await;
    shop.customer("ada").await;
    let kettle = shop.client(app("confidential")).await;
    let first = shop.sign_in(&kettle, "ada", ALL).await;
    let used = first["refresh_token"].as_str().unwrap();
    let refresh = |token: &str| {
        [
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", token.to_owned()),
        ]
    };
    let send = async |token: &str, more: &[(&str, &str)]| {
        let fields = refresh(token);
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        shop.send("/oauth2/token", &kettle, &changed(&fields, more))
            .await
    };
    let told = shop.introspected(&kettle, used).await;
    assert_eq!(
        (&told["active"], &told["client_id"]),
        (&json!(true), &json!(kettle.id))
    );

    refused(
        &send(used, &[("scope", "openid inventory:write")]).await,
        400,
        "invalid_scope",
    );
    let second = send(used, &[("scope", "openid shop")])
        .await
        .expect(200)
        .json();
    assert_eq!(second["scope"], "openid shop");
    let next = second["refresh_token"].as_str().unwrap();
    let access = second["access_token"].as_str().unwrap();
    assert_eq!(shop.introspected(&kettle, access).await["active"], true);
    assert_eq!(shop.introspected(&kettle, used).await["active"], false);
    // Our own pages' way to refresh is none for clients.
    let body = json!({"refresh_token": next});
    shop.anyone()
        .post("/auth/refresh")
        .json(&body)
        .send()
        .await
        .expect(401);

    refused(&send(used, &[]).await, 400, "invalid_grant");
    refused(&send(next, &[]).await, 400, "invalid_grant");
    assert_eq!(
        shop.introspected(&kettle, access).await,
        json!({"active": false})
    );
    refused(&shop.userinfo(access).await, 401, "invalid_token");
}

#[tokio::test]
async fn giving_a_refresh_token_back_ends_the_session() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let kettle = shop.client(app("confidential")).await;
    for given_back in ["refresh_token", "access_token"] {
        let tokens = shop.sign_in(&kettle, "ada", ALL).await;
        let sessions = async || {
            ada.get("/auth/sessions")
                .send()
                .await
                .data()
                .as_array()
                .unwrap()
                .len()
        };
        assert_eq!(sessions().await, 2);
        let token = tokens[given_back].as_str().unwrap();
        shop.send("/oauth2/revoke", &kettle, &[("token", token)])
            .await
            .expect(200);
        assert_eq!(sessions().await, 1, "{given_back}");
        refused(
            &shop
                .userinfo(tokens["access_token"].as_str().unwrap())
                .await,
            401,
            "invalid_token",
        );
    }
}

#[tokio::test]
async fn another_password_or_a_suspension_voids_a_code_that_waits() {
    let shop = Shop::start().await;
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

#[tokio::test]
async fn whoever_serves_others_may_ask_about_all_access_tokens_but_about_no_refresh_token() {
    let shop = Shop::start().await;
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

#[tokio::test]
async fn what_happened_is_in_the_log_and_nothing_personal_is() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let kettle = shop.client(app("public")).await;
    let code = shop.visitor().code(&kettle, "ada", "openid").await;
    shop.redeem(&kettle, &code).await.expect(200);
    shop.redeem(&kettle, &code).await.expect(400);
    let path = format!("/clients/{}/disable", kettle.id);
    shop.ask_admin(Method::POST, &path).send().await.expect(200);

    let mut streams = String::new();
    for stream in [format!("client-{}", kettle.id), format!("user-{}", ada.id)] {
        let shown = shop.operate(&["log", "show", "identity", &stream]).await;
        streams.push_str(&shown.out);
        streams.push_str(&shown.err);
    }
    for event in ["client_registered", "client_changed", "consent_given"] {
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

#[tokio::test]
async fn asking_with_a_query_is_what_a_browser_does_and_nobody_else() {
    let shop = Shop::start().await;
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
