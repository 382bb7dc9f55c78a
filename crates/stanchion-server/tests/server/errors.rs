//! Envelopes of all kinds, access, and what must never be shown.

use std::time::Duration;

use axum::body::Body;

use super::api::Api;

const GOOD: &str = r#"{"name": "good", "count": 2}"#;
const ONE: &str = "/things/00000000-0000-0000-0000-000000000001";

#[tokio::test]
async fn what_is_not_there_is_said_in_the_envelope() {
    let api = Api::new();
    for path in ["/nothing", "//", "//api/v1", "//docs/nothing.js"] {
        let got = api.get(path).await;
        assert_eq!(
            (got.status, got.code().as_str()),
            (404, "ROUTE_NOT_FOUND"),
            "{path}"
        );
    }
    let got = api.write("PUT /things", &[], GOOD).await;
    assert_eq!(
        (got.status, got.code().as_str()),
        (405, "METHOD_NOT_ALLOWED")
    );
    let allowed = got.header("allow");
    assert!(
        allowed.contains("GET") && allowed.contains("POST"),
        "{allowed}"
    );
    let got = api
        .send(
            &format!("GET {ONE}"),
            &[("accept", "text/html")],
            Body::empty(),
        )
        .await;
    assert_eq!((got.status, got.code().as_str()), (406, "NOT_ACCEPTABLE"));
    let got = api
        .get(&format!("/seen?depth=1&x={}", "y".repeat(9_000)))
        .await;
    assert_eq!((got.status, got.code().as_str()), (414, "URI_TOO_LONG"));
    let big = "z".repeat(70_000);
    let got = api
        .send("GET /seen", &[("x-big", &big)], Body::empty())
        .await;
    assert_eq!(
        (got.status, got.code().as_str()),
        (431, "HEADERS_TOO_LARGE")
    );
}

#[tokio::test]
async fn access_is_as_stated() {
    let api = Api::new();
    let cases = [
        ("POST /things", None, 401, "UNAUTHENTICATED"),
        (
            "POST /things",
            Some("Bearer nonsense"),
            401,
            "UNAUTHENTICATED",
        ),
        ("POST /things", Some("Basic writer"), 401, "UNAUTHENTICATED"),
        ("POST /things", Some("Bearer reader"), 403, "FORBIDDEN"),
        ("POST /things", Some("Bearer broken"), 503, "UNAVAILABLE"),
        ("GET /seen", Some("Bearer nonsense"), 401, "UNAUTHENTICATED"),
    ];
    for (line, token, status, code) in cases {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(token.map(|token| ("authorization", token)));
        let got = api.send(line, &headers, GOOD).await;
        assert_eq!(
            (got.status, got.code().as_str()),
            (status, code),
            "{line} {token:?}"
        );
        if status == 401 {
            assert!(got.header("www-authenticate").starts_with("Bearer"));
        }
    }
    assert_eq!(api.get("/seen").await.json()["data"], "nobody None");
    let got = api
        .send(
            "GET /seen?depth=7",
            &[("authorization", "bearer reader")],
            Body::empty(),
        )
        .await;
    assert_eq!(
        got.json()["data"],
        "00000000-0000-0000-0000-000000000002 Some(7)"
    );
    let got = api
        .send(
            &format!("GET {ONE}"),
            &[("authorization", "Bearer nonsense")],
            Body::empty(),
        )
        .await;
    assert_eq!(got.status, 200, "a public route does not look at tokens");
}

#[tokio::test]
async fn a_5xx_never_shows_what_broke() {
    let api = Api::new();
    for (name, status, code) in [
        ("broken", 500, "INTERNAL"),
        ("panics", 500, "INTERNAL"),
        ("away", 503, "UNAVAILABLE"),
    ] {
        let body = format!(r#"{{"name": "{name}", "count": 1}}"#);
        let got = api.write("POST /things", &[], body).await;
        assert_eq!((got.status, got.code().as_str()), (status, code));
        assert!(!got.text.contains("canary-secret"), "{}", got.text);
        assert_eq!(got.header("retry-after").is_empty(), status != 503);
    }
    assert_eq!(
        api.write("POST /things", &[], GOOD).await.status,
        201,
        "the others go on"
    );
}

#[tokio::test]
async fn problem_json_is_given_to_whoever_asks() {
    let headers = [("accept", "application/problem+json")];
    let got = Api::new()
        .send(
            "GET /things/00000000-0000-0000-0000-000000000002",
            &headers,
            Body::empty(),
        )
        .await;
    assert_eq!(got.header("content-type"), "application/problem+json");
    let body = got.json();
    assert_eq!(
        (body["status"].as_u64(), body["code"].as_str()),
        (Some(404), Some("THING_NOT_FOUND"))
    );
    assert_eq!(body["title"], "Not Found");
    assert_eq!(
        body["details"]["thing_id"],
        "00000000-0000-0000-0000-000000000002"
    );
}

#[tokio::test]
async fn a_deadline_that_passes_is_504() {
    let api = Api::new();
    let got = api
        .send(
            "GET /sleeps/5000",
            &[("x-request-timeout", "50ms")],
            Body::empty(),
        )
        .await;
    assert_eq!(
        (got.status, got.code().as_str()),
        (504, "DEADLINE_EXCEEDED")
    );
    let got = api
        .send(
            "GET /sleeps/1",
            &[("x-request-timeout", "2s")],
            Body::empty(),
        )
        .await;
    assert_eq!(got.status, 200);
}

#[tokio::test]
async fn etags_save_what_has_not_changed() {
    let api = Api::new();
    let got = api.get(ONE).await;
    assert_eq!(
        (got.status, got.header("etag"), got.header("cache-control")),
        (200, "\"3\"", "no-cache")
    );
    for tag in ["\"3\"", "W/\"3\"", "*", "\"1\", \"3\""] {
        let got = api
            .send(
                &format!("GET {ONE}"),
                &[("if-none-match", tag)],
                Body::empty(),
            )
            .await;
        assert_eq!((got.status, got.text.as_str()), (304, ""), "{tag}");
    }
    let got = api
        .send(
            &format!("GET {ONE}"),
            &[("if-none-match", "\"2\"")],
            Body::empty(),
        )
        .await;
    assert_eq!(got.status, 200);
    let got = api
        .write(&format!("DELETE {ONE}"), &[("if-match", "\"2\"")], "")
        .await;
    assert_eq!(
        (got.status, got.code().as_str()),
        (412, "PRECONDITION_FAILED")
    );
    let got = api
        .write(
            &format!("DELETE {ONE}"),
            &[("if-match", "\"2\", \"3\"")],
            "",
        )
        .await;
    assert_eq!((got.status, got.text.as_str()), (204, ""));
}

#[tokio::test]
async fn every_answer_carries_its_id_and_the_security_headers() {
    let api = Api::new();
    for path in ["/seen", "/nothing", "//openapi.json", "//health"] {
        let got = api
            .send(
                &format!("GET {path}"),
                &[("x-request-id", "mine-1")],
                Body::empty(),
            )
            .await;
        assert_eq!(got.header("x-request-id"), "mine-1", "{path}");
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        assert_eq!(got.header("referrer-policy"), "no-referrer");
        assert!(
            got.header("content-security-policy")
                .contains("frame-ancestors 'none'")
        );
    }
    assert_eq!(api.get("/seen").await.header("cache-control"), "no-store");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_as_things_stand() {
    let api = Api::new();
    let began = tokio::time::Instant::now();
    let got = api
        .send(
            "POST /waits",
            &[("prefer", "respond-async, wait=5")],
            Body::empty(),
        )
        .await;
    assert_eq!((got.status, began.elapsed()), (202, Duration::from_secs(5)));
    assert_eq!(got.header("preference-applied"), "wait=5");
    let got = api
        .send("POST /waits", &[("prefer", "wait=soon")], Body::empty())
        .await;
    assert_eq!((got.status, got.header("preference-applied")), (202, ""));
}

#[tokio::test]
async fn cors_is_closed_until_origins_are_named() {
    let preflight = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "POST"),
    ];
    let got = Api::new()
        .send("OPTIONS /things", &preflight, Body::empty())
        .await;
    assert_eq!(
        (got.status, got.header("access-control-allow-origin")),
        (405, "")
    );
    let mut settings = super::shop::settings();
    settings.cors.origins = vec!["https://a.example".into()];
    let open = Api(super::shop::service_with(settings).into_router().unwrap());
    let got = open
        .send("OPTIONS /things", &preflight, Body::empty())
        .await;
    assert_eq!(
        (got.status, got.header("access-control-allow-origin")),
        (200, "https://a.example")
    );
    let foreign = [
        ("origin", "https://b.example"),
        ("access-control-request-method", "POST"),
    ];
    let got = open.send("OPTIONS /things", &foreign, Body::empty()).await;
    assert_eq!(got.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn what_is_large_is_compressed_when_asked() {
    let api = Api::new();
    for encoding in ["gzip", "br", "zstd"] {
        let got = api
            .send(
                "GET //openapi.json",
                &[("accept-encoding", encoding)],
                Body::empty(),
            )
            .await;
        assert_eq!(got.header("content-encoding"), encoding);
    }
    let got = api
        .send("GET /seen", &[("accept-encoding", "gzip")], Body::empty())
        .await;
    assert_eq!(got.header("content-encoding"), "", "small answers are not");
}

#[tokio::test]
async fn more_than_can_be_worked_on_is_shed() {
    let settings = stanchion_server::ServerSettings {
        in_flight_max: 1,
        ..super::shop::settings()
    };
    let api = Api(super::shop::service_with(settings).into_router().unwrap());
    let busy = api.get("/sleeps/300");
    let shed = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        (api.get("/seen").await, api.get("//health").await)
    };
    let (busy, (shed, health)) = tokio::join!(busy, shed);
    assert_eq!((busy.status, health.status), (200, 200));
    assert_eq!(
        (
            shed.status,
            shed.code().as_str(),
            shed.header("retry-after")
        ),
        (503, "OVERLOADED", "1")
    );
}
