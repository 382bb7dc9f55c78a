//! Tokens from the first to the last: what each is good for, and what ends it.

use serde_json::json;

use super::support::{answered, app, changed, refused, service};
use crate::support::{Shop, on_both_stores};

const ALL: &str = "openid profile email offline_access shop order:read";

on_both_stores! {
    a_service_gets_a_token_asks_what_it_is_worth_and_gives_it_back,
    a_user_signs_in_and_the_client_acts_within_what_was_granted,
    without_the_scope_to_act_a_token_is_for_userinfo_alone,
    a_refresh_token_rotates_and_a_second_use_ends_everything,
    giving_a_refresh_token_back_ends_the_session,
}

async fn a_service_gets_a_token_asks_what_it_is_worth_and_gives_it_back(shop: Shop) {
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

async fn a_user_signs_in_and_the_client_acts_within_what_was_granted(shop: Shop) {
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

async fn without_the_scope_to_act_a_token_is_for_userinfo_alone(shop: Shop) {
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

async fn a_refresh_token_rotates_and_a_second_use_ends_everything(shop: Shop) {
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
    // What userinfo tells cannot be left out, and the answer says so.
    assert_eq!(second["scope"], "email offline_access openid profile shop");
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

async fn giving_a_refresh_token_back_ends_the_session(shop: Shop) {
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
