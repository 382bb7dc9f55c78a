//! Bad input, one table: each case has its documented status and code.

use serde_json::json;

use super::api::Api;

const GOOD: &str = r#"{"name": "good", "count": 2, "tags": [{"label": "a"}]}"#;

#[tokio::test]
async fn a_good_thing_is_made() {
    let got = Api::new().write("POST /things", &[], GOOD).await;
    assert_eq!(got.status, 201, "{got:?}");
    assert_eq!(got.header("location"), "/api/v1/things/1");
    assert_eq!(got.header("etag"), "\"3\"");
    assert_eq!(got.json()["data"]["name"], "good");
    assert!(got.json()["meta"]["consistency_token"].is_string());
    assert_eq!(got.header("x-request-id"), got.json()["meta"]["request_id"]);
}

#[tokio::test]
async fn every_bad_body_has_its_documented_answer() {
    let api = Api::new();
    let deep = format!(
        r#"{{"name": {}1{}, "count": 1}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let huge = format!(r#"{{"name": "{}", "count": 1}}"#, "x".repeat(1024 * 1024));
    let cases: [(&[u8], u16, &str); 24] = [
        (b"", 400, "MALFORMED_JSON"),
        (b"{", 400, "MALFORMED_JSON"),
        (
            b"{\"name\": \"a\", \"count\": 1} trailing",
            400,
            "MALFORMED_JSON",
        ),
        (
            b"{\"name\": \"a\", \"name\": \"b\", \"count\": 1}",
            400,
            "MALFORMED_JSON",
        ),
        (b"{\"name\": \"\xff\", \"count\": 1}", 400, "MALFORMED_JSON"),
        (
            b"\xef\xbb\xbf{\"name\": \"a\", \"count\": 1}",
            400,
            "MALFORMED_JSON",
        ),
        (
            b"{\"name\": \"\\ud800\", \"count\": 1}",
            400,
            "MALFORMED_JSON",
        ),
        (
            b"{\"name\": \"a\", \"count\": 1e400}",
            400,
            "MALFORMED_JSON",
        ),
        (b"{\"name\": \"a\", \"count\": NaN}", 400, "MALFORMED_JSON"),
        (deep.as_bytes(), 400, "MALFORMED_JSON"),
        (huge.as_bytes(), 413, "PAYLOAD_TOO_LARGE"),
        (
            b"{\"name\": \"a\", \"count\": 1, \"role\": \"admin\"}",
            400,
            "UNKNOWN_FIELD",
        ),
        (
            b"{\"name\": \"a\", \"count\": 1, \"tags\": [{\"label\": \"a\", \"x\": 1}]}",
            400,
            "UNKNOWN_FIELD",
        ),
        (b"[]", 422, "VALIDATION_FAILED"),
        (b"null", 422, "VALIDATION_FAILED"),
        (b"{}", 422, "VALIDATION_FAILED"),
        (b"{\"name\": 7, \"count\": 1}", 422, "VALIDATION_FAILED"),
        (
            b"{\"name\": \"a\", \"count\": \"1\"}",
            422,
            "VALIDATION_FAILED",
        ),
        (
            b"{\"name\": \"a\", \"count\": 1.5}",
            422,
            "VALIDATION_FAILED",
        ),
        (
            b"{\"name\": \"a\", \"count\": 11}",
            422,
            "VALIDATION_FAILED",
        ),
        (
            b"{\"name\": \"a\", \"count\": 99999999999999999999999}",
            422,
            "VALIDATION_FAILED",
        ),
        (
            b"{\"name\": \"   \", \"count\": 1}",
            422,
            "VALIDATION_FAILED",
        ),
        (
            b"{\"name\": \"a\\u0000b\", \"count\": 1}",
            422,
            "VALIDATION_FAILED",
        ),
        (
            b"{\"name\": \"a\\r\\nb\", \"count\": 1}",
            422,
            "VALIDATION_FAILED",
        ),
    ];
    for (body, status, code) in cases {
        let shown: String = String::from_utf8_lossy(body).chars().take(80).collect();
        let got = api.write("POST /things", &[], body.to_vec()).await;
        assert_eq!((got.status, got.code().as_str()), (status, code), "{shown}");
    }
}

#[tokio::test]
async fn all_broken_rules_are_named_by_their_paths() {
    let body = r#"{"name": "", "count": 0, "tags": [{"label": "a"}, {"label": "too long"}]}"#;
    let got = Api::new().write("POST /things", &[], body).await;
    let expected = json!({"fields": {
        "name": ["must not be empty"],
        "count": ["must be 1 to 10"],
        "tags[1].label": ["must have 1 to 5 characters"],
    }});
    assert_eq!((got.status, got.details()), (422, expected));
    let got = Api::new()
        .write("POST /things", &[], "{\n  \"name\": }")
        .await;
    assert_eq!(
        (
            got.details()["line"].clone(),
            got.details()["column"].clone()
        ),
        (json!(2), json!(11))
    );
    let got = Api::new()
        .write(
            "POST /things",
            &[],
            r#"{"name": "a", "count": 1, "tags": [{"x": 1}]}"#,
        )
        .await;
    assert_eq!(got.details(), json!({"field": "tags[0].x"}));
}

#[tokio::test]
async fn text_is_trimmed_and_composed_at_input() {
    let got = Api::new()
        .write(
            "POST /things",
            &[],
            "{\"name\": \"  cafe\u{301} \", \"count\": 1}",
        )
        .await;
    assert_eq!(got.json()["data"]["name"], "café");
}

#[tokio::test]
async fn content_types_other_than_json_are_refused() {
    let api = Api::new();
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin1",
        "json",
    ] {
        let got = api
            .write("POST /things", &[("content-type", content_type)], GOOD)
            .await;
        assert_eq!(
            (got.status, got.code().as_str()),
            (415, "UNSUPPORTED_MEDIA_TYPE"),
            "{content_type}"
        );
    }
    let got = api
        .write(
            "POST /things",
            &[("content-type", "Application/JSON; charset=\"UTF-8\"")],
            GOOD,
        )
        .await;
    assert_eq!(got.status, 201);
    // What we do not unfold cannot unfold: br and zstd among them, and twice is once too often.
    for encoding in ["snappy", "br", "zstd", "deflate", "gzip, gzip"] {
        let headers = [("content-encoding", encoding)];
        let got = api.write("POST /things", &headers, GOOD).await;
        assert_eq!(
            (got.status, got.code().as_str()),
            (415, "UNSUPPORTED_MEDIA_TYPE"),
            "{encoding}"
        );
    }
    // Gzip that is none, and half of it.
    for body in [GOOD.as_bytes(), b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab"] {
        let headers = [("content-encoding", "gzip")];
        let got = api.write("POST /things", &headers, body).await;
        assert_eq!((got.status, got.code().as_str()), (400, "BAD_REQUEST"));
    }
}

#[tokio::test]
async fn a_compressed_bomb_is_refused_while_it_unfolds() {
    use tower_http::compression::CompressionLayer;
    // Ten mebibytes of zeros in ten kibibytes.
    let zeros = format!(
        r#"{{"name": "{}", "count": 1}}"#,
        "0".repeat(10 * 1024 * 1024)
    );
    let app = axum::Router::new()
        .route("/", axum::routing::get(async move || zeros))
        .layer(CompressionLayer::new().gzip(true));
    let request = http::Request::get("/")
        .header("accept-encoding", "gzip")
        .body(axum::body::Body::empty())
        .unwrap();
    let response = tower::ServiceExt::oneshot(app, request).await.unwrap();
    let bomb = http_body_util::BodyExt::collect(response.into_body())
        .await
        .unwrap()
        .to_bytes();
    assert!(bomb.len() < 64 * 1024);
    let got = Api::new()
        .write(
            "POST /things",
            &[("content-encoding", "gzip")],
            bomb.to_vec(),
        )
        .await;
    assert_eq!(
        (got.status, got.code().as_str()),
        (413, "PAYLOAD_TOO_LARGE")
    );
}

#[tokio::test]
async fn every_bad_parameter_is_named() {
    let api = Api::new();
    type Case = (
        &'static str,
        &'static [(&'static str, &'static str)],
        u16,
        &'static str,
    );
    let cases: [Case; 12] = [
        ("GET /things/not-a-uuid", &[], 400, "id"),
        ("GET /things/%ff", &[], 400, "path"),
        ("GET /seen?depth=300", &[], 400, "depth"),
        ("GET /seen?depth=x", &[], 400, "depth"),
        ("GET /seen?unknown=1", &[], 400, "unknown"),
        ("GET /seen?depth=1&depth=2", &[], 400, "depth"),
        ("GET /seen?depth=%ff", &[], 400, "depth"),
        (
            "GET /seen",
            &[("x-request-timeout", "soon")],
            400,
            "X-Request-Timeout",
        ),
        (
            "GET /seen",
            &[("x-request-timeout", "0ms")],
            400,
            "X-Request-Timeout",
        ),
        (
            "DELETE /things/00000000-0000-0000-0000-000000000001",
            &[("if-match", "3")],
            400,
            "if-match",
        ),
        (
            "POST /payments",
            &[("idempotency-key", "")],
            400,
            "Idempotency-Key",
        ),
        (
            "POST /payments",
            &[("idempotency-key", "caf\u{e9}")],
            400,
            "Idempotency-Key",
        ),
    ];
    for (line, headers, status, parameter) in cases {
        let got = api.write(line, headers, "").await;
        assert_eq!(
            (got.status, got.code().as_str()),
            (status, "INVALID_PARAMETER"),
            "{line} {headers:?}"
        );
        assert_eq!(got.details()["parameter"], parameter, "{line} {headers:?}");
    }
}

#[tokio::test]
async fn a_patch_obeys_the_rules_of_the_whole() {
    let api = Api::new();
    let line = "PATCH /things/00000000-0000-0000-0000-000000000001";
    let merge = ("content-type", "application/merge-patch+json");
    let got = api
        .write(
            line,
            &[merge, ("if-match", "\"3\"")],
            r#"{"note": null, "count": 5}"#,
        )
        .await;
    assert_eq!((got.status, got.header("etag")), (200, "\"4\""), "{got:?}");
    assert_eq!(
        got.json()["data"],
        json!({"name": "one", "count": 5, "tags": [], "note": null})
    );
    let cases = [
        (r#"{"count": 11}"#, 422, "VALIDATION_FAILED"),
        (r#"{"name": null}"#, 422, "VALIDATION_FAILED"),
        (r#"{"version": 9}"#, 400, "UNKNOWN_FIELD"),
        (r#"[]"#, 422, "VALIDATION_FAILED"),
        (r#"{"#, 400, "MALFORMED_JSON"),
    ];
    for (body, status, code) in cases {
        let got = api.write(line, &[merge], body).await;
        assert_eq!((got.status, got.code().as_str()), (status, code), "{body}");
    }
    let got = api.write(line, &[merge, ("if-match", "\"2\"")], "{}").await;
    assert_eq!(
        (got.status, got.code().as_str()),
        (412, "PRECONDITION_FAILED")
    );
}
