//! Clients in the hands of an operator: on the admin port and on the command line.

use reqwest::Method;
use serde_json::json;

use super::support::{app, refused, service};
use crate::support::Shop;

const GRANT: [(&str, &str); 1] = [("grant_type", "client_credentials")];

#[tokio::test]
async fn an_operator_registers_lists_disables_and_gives_another_secret() {
    let shop = Shop::start().await;
    let robot = shop.client(service(&["inventory:read"])).await;
    shop.send("/oauth2/token", &robot, &GRANT).await.expect(200);

    let list = shop
        .ask_admin(Method::GET, "/clients")
        .send()
        .await
        .expect(200);
    let list = list.json()["data"].clone();
    assert_eq!(list[0]["client_id"], robot.id.as_str());
    assert!(!list.to_string().contains(robot.secret.as_ref().unwrap()));

    let path = format!("/clients/{}/rotate-secret", robot.id);
    let rotated = shop.ask_admin(Method::POST, &path).send().await.expect(200);
    let mut renewed = robot.clone();
    renewed.secret = rotated.json()["client_secret"].as_str().map(str::to_owned);
    let token = shop
        .send("/oauth2/token", &renewed, &GRANT)
        .await
        .expect(200);
    let former = shop.send("/oauth2/token", &robot, &GRANT).await;
    refused(&former, 401, "invalid_client");
    assert!(former.header("www-authenticate").is_some());

    let token = token.json()["access_token"].as_str().unwrap().to_owned();
    let mut caller = shop.anyone();
    caller.token = token;
    caller.get("/orders").send().await.expect(403);
    for (action, admitted) in [("disable", false), ("enable", true)] {
        let path = format!("/clients/{}/{action}", robot.id);
        shop.ask_admin(Method::POST, &path).send().await.expect(200);
        let again = shop.send("/oauth2/token", &renewed, &GRANT).await;
        assert_eq!(again.status == 200, admitted, "{action}: {}", again.text);
        // Its tokens go with it.
        let status = if admitted { 403 } else { 401 };
        caller.get("/orders").send().await.expect(status);
    }
}

#[tokio::test]
async fn a_client_that_cannot_work_or_is_not_safe_is_not_registered() {
    let shop = Shop::start().await;
    for (field, value) in [
        ("name", json!("")),
        ("kind", json!("secretive")),
        ("grants", json!([])),
        ("grants", json!(["password"])),
        ("grants", json!(["implicit"])),
        ("redirect_uris", json!([])),
        ("redirect_uris", json!(["http://app.example/done"])),
        ("redirect_uris", json!(["https://app.example/done#x"])),
        ("redirect_uris", json!(["javascript:alert(1)"])),
        ("scopes", json!(["openid profile", "phone"])),
        ("resource_server", json!(true)),
        ("client_id", json!("mine")),
        ("client_secret", json!("chosen")),
    ] {
        let mut plan = app("public");
        plan[field] = value;
        let asked = shop.ask_admin(Method::POST, "/clients").json(&plan);
        let answer = asked.send().await.expect(422);
        assert!(answer.json()["error"].is_string(), "{plan}");
    }
    for path in ["/clients/nobody/disable", "/clients/../x/enable"] {
        let answer = shop.ask_admin(Method::POST, path).send().await;
        assert_eq!(answer.status, 404, "{path}");
    }
    // Nothing of it is on the public port.
    shop.fetch("/clients").send().await.expect(404);
}

#[tokio::test]
async fn the_command_line_does_the_same_through_the_running_service() {
    let shop = Shop::start().await;
    let create = [
        "clients",
        "create",
        "Stock robot",
        "--grant",
        "client_credentials",
        "--scope",
        "inventory:read",
        "--scope",
        "order:read",
    ];
    let made = shop.operate(&create).await.expect(0);
    let part = |name: &str| {
        let mut lines = made.out.lines().filter_map(|line| line.strip_prefix(name));
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("no {name}: {}", made.out));
        line.split_whitespace().next().unwrap().to_owned()
    };
    let (id, secret) = (part("client_id"), part("client_secret"));
    let robot = super::support::Registered {
        id: id.clone(),
        secret: Some(secret),
    };
    let token = shop.send("/oauth2/token", &robot, &GRANT).await.expect(200);
    assert_eq!(token.json()["scope"], "inventory:read order:read");

    let listed = shop.operate(&["clients", "list"]).await.expect(0);
    listed.says(&[&id, "confidential", "enabled", "Stock robot"]);
    shop.operate(&["clients", "disable", &id])
        .await
        .expect(0)
        .says(&["disabled_at"]);
    let refusal = shop.send("/oauth2/token", &robot, &GRANT).await;
    refused(&refusal, 401, "invalid_client");
    let renewed = shop
        .operate(&["clients", "rotate-secret", &id])
        .await
        .expect(0);
    renewed.says(&["client_secret", "shown once"]);
    shop.operate(&["clients", "disable", "nobody"])
        .await
        .expect(1);
    let odd = [
        "clients",
        "create",
        "App",
        "--public",
        "--grant",
        "client_credentials",
        "--scope",
        "openid",
    ];
    shop.operate(&odd)
        .await
        .expect(1)
        .says(&["client_credentials is for confidential clients"]);
}
