//! Authorization requests that would weaken the flow, and forms that are not the page's.

use reqwest::header::LOCATION;

use crate::oauth::support::{DONE, Visitor, answered, app, changed, form, service};
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
