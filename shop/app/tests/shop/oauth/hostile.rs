//! What a hostile client, or somebody in between, tries: each refused with the error that the RFC names.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::LOCATION;
use serde_json::json;

use super::support::{
    CHALLENGE, DONE, Registered, VERIFIER, Visitor, answered, app, changed, form, refused, service,
};
use crate::support::{PASSWORD, Shop};

const ALL: &str = "openid offline_access shop";

#[tokio::test]
async fn a_request_that_could_serve_a_thief_is_never_redirected() {
    let shop = Shop::start().await;
    let (kettle, robot) = (
        shop.client(app("public")).await,
        shop.client(service(&["order:read"])).await,
    );
    let asks = Visitor::asks(&kettle, ALL);
    let nobody = stanchion::runtime::id::new_v7().to_string();
    for change in [
        ("client_id", ""),
        ("client_id", nobody.as_str()),
        ("client_id", "kettle"),
        ("client_id", robot.id.as_str()),
        ("redirect_uri", ""),
        ("redirect_uri", "https://app.example/done/"),
        ("redirect_uri", "https://app.example/done?x=1"),
        ("redirect_uri", "https://app.example/done#x"),
        ("redirect_uri", "https://app.example/DONE"),
        ("redirect_uri", "https://APP.example/done"),
        ("redirect_uri", "https://app.example:443/done"),
        ("redirect_uri", "https://app.example.evil.example/done"),
        ("redirect_uri", "https://app.example@evil.example/done"),
        ("redirect_uri", "https://app.example/%64one"),
        ("redirect_uri", "https://app.example/x/../done"),
        ("redirect_uri", "http://app.example/done"),
        ("redirect_uri", "http://127.0.0.1:10/done"),
        ("redirect_uri", "http://localhost:9/done"),
        ("redirect_uri", "//app.example/done"),
        ("redirect_uri", "javascript:alert(1)"),
    ] {
        let answer = shop.visitor().open(&form(&changed(&asks, &[change]))).await;
        assert_eq!(answer.status, 400, "{change:?}: {}", answer.text);
        assert_eq!(answer.header(LOCATION.as_str()), None, "{change:?}");
        assert!(!answer.text.contains("evil.example"), "{change:?}");
    }
    // A parameter that is repeated could be read in two ways, which is the right one too.
    for repeated in [
        "redirect_uri",
        "client_id",
        "state",
        "scope",
        "code_challenge",
    ] {
        let query = format!("{}&{repeated}=other", form(&asks));
        let answer = shop.visitor().open(&query).await;
        assert_eq!(
            (answer.status, answer.header(LOCATION.as_str())),
            (400, None),
            "{repeated}"
        );
    }
}

#[tokio::test]
async fn a_request_that_weakens_the_flow_is_sent_back_with_its_error() {
    let shop = Shop::start().await;
    let kettle = shop.client(app("public")).await;
    let asks = Visitor::asks(&kettle, ALL);
    let long = "x".repeat(513);
    for (change, error) in [
        (("response_type", ""), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", "id_token"), "unsupported_response_type"),
        (("response_type", "code token"), "unsupported_response_type"),
        (("response_type", "none"), "unsupported_response_type"),
        (("response_mode", "fragment"), "invalid_request"),
        (("response_mode", "form_post"), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", "s256"), "invalid_request"),
        (("scope", ""), "invalid_scope"),
        (("scope", "openid  shop"), "invalid_scope"),
        (("scope", "openid admin:*"), "invalid_scope"),
        (("scope", "openid order:write"), "invalid_scope"),
        (("scope", "openid order:read"), "invalid_scope"),
        (("request", "eyJ"), "request_not_supported"),
        (
            ("request_uri", "http://169.254.169.254/"),
            "request_uri_not_supported",
        ),
        (("prompt", "none"), "login_required"),
        (("nonce", long.as_str()), "invalid_request"),
    ] {
        let sent = shop.visitor().open(&form(&changed(&asks, &[change]))).await;
        assert_eq!(sent.status, 303, "{change:?}: {}", sent.text);
        let place = sent.header(LOCATION.as_str()).unwrap();
        assert!(place.starts_with(&format!("{DONE}?")), "{place}");
        assert_eq!(answered(&sent, "error"), error, "{change:?}");
        assert_eq!(answered(&sent, "state"), "s-1");
        assert_eq!(answered(&sent, "iss"), format!("http://{}", shop.address));
        assert!(answered(&sent, "code").is_empty() && !place.contains('#'));
    }
}

#[tokio::test]
async fn a_stolen_code_is_worth_nothing_and_its_second_use_ends_what_the_first_began() {
    let shop = Shop::start().await;
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

#[tokio::test]
async fn of_many_uses_of_one_code_at_once_at_most_one_succeeds() {
    let shop = Shop::start().await;
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

#[tokio::test]
async fn a_form_from_elsewhere_signs_nobody_in() {
    let shop = Shop::start().await;
    shop.customer("ada").await;
    let kettle = shop.client(app("public")).await;
    let asks = Visitor::asks(&kettle, ALL);
    let mut visitor = shop.visitor();
    visitor.open(&form(&asks)).await.expect(200);
    let csrf = visitor.csrf().to_owned();
    let yes = [
        ("csrf", csrf.as_str()),
        ("decision", "allow"),
        ("login", "ada"),
        ("password", PASSWORD),
    ];
    let filled = changed(&asks, &yes);
    for change in [("csrf", ""), ("csrf", "pg_x")] {
        visitor
            .submit(&changed(&filled, &[change]))
            .send()
            .await
            .expect(403);
    }
    shop.visitor().submit(&filled).send().await.expect(403);
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let asked = visitor.submit(&filled).header(name, value).send().await;
        assert_eq!(
            (asked.status, asked.header(LOCATION.as_str())),
            (403, None),
            "{name}: {value}"
        );
    }
    // What the form repeats is checked again.
    for (change, status) in [
        (("redirect_uri", "https://evil.example/done"), 400),
        (("client_id", "x"), 400),
    ] {
        let asked = visitor.submit(&changed(&filled, &[change])).send().await;
        assert_eq!(
            (asked.status, asked.header(LOCATION.as_str())),
            (status, None)
        );
    }
    let weaker = visitor.submit(&changed(&filled, &[("code_challenge_method", "plain")]));
    assert_eq!(
        answered(&weaker.send().await.expect(303), "error"),
        "invalid_request"
    );
    let denied = visitor.submit(&changed(&filled, &[("decision", "deny")]));
    assert_eq!(
        answered(&denied.send().await.expect(303), "error"),
        "access_denied"
    );
    let wrong = changed(&filled, &[("password", "not the password")]);
    let unknown = changed(&wrong, &[("login", "nobody")]);
    let (wrong, unknown) = (
        visitor.submit(&wrong).send().await.expect(403),
        visitor.submit(&unknown).send().await.expect(403),
    );
    let plain = |text: &str, login: &str| {
        let text = text.replace(&format!("value=\"{login}\""), "value=\"\"");
        let (head, rest) = text.split_once("<style nonce=\"").unwrap();
        head.to_owned() + rest.split_once('"').unwrap().1
    };
    assert_eq!(plain(&wrong.text, "ada"), plain(&unknown.text, "nobody"));
    visitor
        .submit(&filled)
        .header("sec-fetch-site", "same-origin")
        .send()
        .await
        .expect(303);
}
