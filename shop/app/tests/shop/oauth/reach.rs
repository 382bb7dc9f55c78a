//! How far a client reaches that acts for a user: to what the user has, not to who gets in as that user.

use reqwest::Method;
use serde_json::{Value, json};

use super::support::app;
use crate::support::{PASSWORD, Shop, on_both_stores};

const ALL: &str = "openid profile email offline_access shop order:read";

on_both_stores! {
    a_client_takes_no_account_over_and_ends_no_login_of_its_users,
}

async fn a_client_takes_no_account_over_and_ends_no_login_of_its_users(shop: Shop) {
    let ada = shop.customer("ada").await;
    let kettle = shop.client(app("confidential")).await;
    let tokens = shop.sign_in(&kettle, "ada", ALL).await;
    let mut client = shop.anyone();
    client.token = tokens["access_token"].as_str().unwrap().to_owned();

    let mine = format!("/users/{}", ada.id);
    let sessions = ada.get("/auth/sessions").send().await.expect(200).data();
    let sessions = sessions.as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let own = sessions.iter().find(|one| one["current"] == true).unwrap();
    let login = format!("/auth/sessions/{}", own["id"].as_str().unwrap());
    let refused: [(Method, &str, Value); 8] = [
        (Method::POST, "/auth/api-keys", json!({"name": "for ever"})),
        (Method::GET, "/auth/api-keys", json!({})),
        (Method::GET, "/auth/sessions", json!({})),
        (Method::DELETE, &login, json!({})),
        (Method::POST, "/auth/logout", json!({"all": true})),
        (
            Method::POST,
            "/auth/password",
            json!({"current_password": PASSWORD, "new_password": "the client's own one"}),
        ),
        (Method::PATCH, &mine, json!({"email": "eve@example.com"})),
        (Method::DELETE, &mine, json!({})),
    ];
    for (method, path, body) in refused {
        let patch = method == Method::PATCH;
        let ask = client.ask(method, path);
        let ask = match patch {
            true => ask.header("content-type", "application/merge-patch+json"),
            false => ask,
        };
        ask.json(&body).send().await.expect_error(403, "FORBIDDEN");
    }
    // Of what the user has it changes what it was let.
    let name = json!({"first_name": "Augusta"});
    client.patch(&mine).json(&name).send().await.expect(200);
    client
        .post("/auth/logout")
        .json(&json!({}))
        .send()
        .await
        .expect(204);
    client.get("/users/me").send().await.expect(401);
    ada.get("/users/me").send().await.expect(200);
}
