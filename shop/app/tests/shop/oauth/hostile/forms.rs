//! Tokens of others, clients that prove nothing, and forms that are none.

use reqwest::Method;
use serde_json::json;

use crate::oauth::support::{Registered, app, form, refused, service};
use crate::support::Shop;

const ALL: &str = "openid offline_access shop";

#[tokio::test]
async fn tokens_of_others_are_nobodys_business() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let (kettle, other) = (
        shop.client(app("confidential")).await,
        shop.client(app("confidential")).await,
    );
    let public = shop.client(app("public")).await;
    let tokens = shop.sign_in(&kettle, "ada", ALL).await;
    let (access, refresh) = (
        tokens["access_token"].as_str().unwrap(),
        tokens["refresh_token"].as_str().unwrap(),
    );
    let nothing = json!({"active": false});
    for token in [
        access,
        refresh,
        &ada.token,
        &ada.refresh,
        "rt_x",
        "eyJ.e.s",
        "x",
    ] {
        assert_eq!(shop.introspected(&other, token).await, nothing);
    }
    for token in [access, refresh, &ada.token] {
        let gone = shop
            .send("/oauth2/revoke", &other, &[("token", token)])
            .await;
        refused(&gone, 400, "invalid_grant");
    }
    for unknown in ["rt_x", "eyJ.e.s", "x", &ada.refresh] {
        let gone = shop
            .send("/oauth2/revoke", &other, &[("token", unknown)])
            .await;
        assert_eq!((gone.status, gone.text.as_str()), (200, ""), "{unknown}");
    }
    let stolen = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    refused(
        &shop.send("/oauth2/token", &other, &stolen).await,
        400,
        "invalid_grant",
    );
    let own = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &ada.refresh),
    ];
    refused(
        &shop.send("/oauth2/token", &other, &own).await,
        400,
        "invalid_grant",
    );
    // Whoever proves nothing learns nothing.
    let asked = shop
        .send("/oauth2/introspect", &public, &[("token", access)])
        .await;
    refused(&asked, 401, "invalid_client");
    let asked = shop.send_form("/oauth2/introspect", &form(&[("token", access)]));
    refused(&asked.send().await, 401, "invalid_client");
    // All of that has ended nothing.
    assert_eq!(shop.introspected(&kettle, refresh).await["active"], true);
    ada.get("/users/me").send().await.expect(200);
}

#[tokio::test]
async fn whoever_does_not_prove_to_be_a_client_is_none() {
    let shop = Shop::start().await;
    let robot = shop.client(service(&["order:read"])).await;
    let public = shop.client(app("public")).await;
    let secret = robot.secret.clone().unwrap();
    let grant = [("grant_type", "client_credentials")];
    let with = |id: &str, secret: Option<&str>| Registered {
        id: id.to_owned(),
        secret: secret.map(str::to_owned),
    };
    let nobody = stanchion::runtime::id::new_v7().to_string();
    for by in [
        with(&robot.id, None),
        with(&robot.id, Some("")),
        with(&robot.id, Some(&secret[..secret.len() - 1])),
        with(&robot.id, Some(&secret.replace("cs_", "ac_"))),
        with(&robot.id.to_uppercase(), Some(&secret)),
        with(&nobody, Some(&secret)),
        with("", Some(&secret)),
        with(&public.id, Some(&secret)),
    ] {
        refused(
            &shop.send("/oauth2/token", &by, &grant).await,
            401,
            "invalid_client",
        );
    }
    let body = form(&[("grant_type", "client_credentials")]);
    let basic = |id: &str, secret: &str| {
        use base64::Engine;
        let joined = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
        format!("Basic {joined}")
    };
    let right = basic(&robot.id, &secret);
    let ask = |body: &str| {
        shop.send_form("/oauth2/token", body)
            .header("authorization", &right)
    };
    ask(&body).send().await.expect(200);
    for both in [
        format!("{body}&client_secret={secret}"),
        format!("{body}&client_id={}&client_secret={secret}", robot.id),
        format!("{body}&client_id={}", public.id),
    ] {
        refused(&ask(&both).send().await, 400, "invalid_request");
    }
    refused(
        &ask(&body).header("authorization", &right).send().await,
        400,
        "invalid_request",
    );
    let wrong = basic(&robot.id, "cs_wrong");
    let answer = shop
        .send_form("/oauth2/token", &body)
        .header("authorization", &wrong);
    let answer = answer.send().await;
    refused(&answer, 401, "invalid_client");
    assert!(
        answer
            .header("www-authenticate")
            .unwrap()
            .starts_with("Basic")
    );
}

#[tokio::test]
async fn a_form_is_a_form_and_a_token_is_never_in_the_url() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let robot = shop.client(service(&["order:read"])).await;
    let secret = robot.secret.as_deref().unwrap();
    let body = form(&[
        ("grant_type", "client_credentials"),
        ("client_id", &robot.id),
        ("client_secret", secret),
        ("token", "x"),
    ]);
    for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"] {
        shop.send_form(path, &body).send().await.expect(200);
        let in_the_url = shop.send_form(&format!("{path}?{body}"), "");
        refused(&in_the_url.send().await, 400, "invalid_request");
        let partly = shop.send_form(&format!("{path}?token=x"), &body);
        refused(&partly.send().await, 400, "invalid_request");
        for name in ["client_id", "grant_type", "token", "scope"] {
            let twice = format!("{body}&{name}=other&{name}=another");
            refused(
                &shop.send_form(path, &twice).send().await,
                400,
                "invalid_request",
            );
        }
        let malformed = shop.send_form(path, &format!("{body}&x=%zz"));
        refused(&malformed.send().await, 400, "invalid_request");
        let large = format!("{body}&x={}", "y".repeat(20_000));
        refused(
            &shop.send_form(path, &large).send().await,
            413,
            "invalid_request",
        );
        let huge = format!("{body}&x={}", "y".repeat(2_000_000));
        shop.send_form(path, &huge).send().await.expect(413);
        let many = (0..40)
            .map(|number| format!("&p{number}=1"))
            .collect::<String>();
        refused(
            &shop.send_form(path, &(body.clone() + &many)).send().await,
            400,
            "invalid_request",
        );
        for odd in [
            "application/json",
            "text/plain",
            "multipart/form-data; boundary=x",
        ] {
            let asked = shop
                .anyone()
                .http
                .request(Method::POST, format!("http://{}{path}", shop.address));
            let asked = asked
                .header("content-type", odd)
                .body(body.clone())
                .send()
                .await
                .unwrap();
            assert_eq!(asked.status(), 400, "{odd}");
        }
        shop.fetch(path).send().await.expect(405);
    }
    let query = format!("/oauth2/userinfo?access_token={}", ada.token);
    refused(&shop.fetch(&query).send().await, 400, "invalid_request");
    refused(
        &shop.fetch("/oauth2/userinfo").send().await,
        401,
        "invalid_token",
    );
    let query = format!("/api/v1/users/me?access_token={}", ada.token);
    assert!(matches!(shop.fetch(&query).send().await.status, 400 | 401));
}
