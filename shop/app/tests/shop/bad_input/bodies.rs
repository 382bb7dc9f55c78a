//! Bodies that are no JSON, or not the JSON that is wanted: the same for every route that takes one.

use serde_json::json;

use super::cases::{Case, Who};

/// Over the limit of 1 MiB.
const TOO_LARGE: usize = (1 << 20) + 1;

pub(super) fn rows() -> Vec<Case> {
    let mut rows = Vec::new();
    for (route, who) in [
        ("/orders", Who::Customer),
        ("/users", Who::Anyone),
        ("/products", Who::Admin),
    ] {
        let malformed = malformed()
            .into_iter()
            .map(|(name, body)| (name, body, 400, "MALFORMED_JSON"));
        let wrong = wrong()
            .into_iter()
            .map(|(name, body)| (name, body, 422, "VALIDATION_FAILED"));
        for (name, body, status, code) in malformed.chain(wrong) {
            let name = format!("{name} to {route}");
            rows.push(Case::post(&name, route, body).by(who).is(status, code));
        }
        rows.extend(others(route, who));
    }
    rows
}

fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let plain: [(&str, &[u8]); 15] = [
        ("nothing", b""),
        ("half an object", b"{"),
        ("a brace too many", b"{}}"),
        ("two values", b"{} {}"),
        ("single quotes", b"{'items': []}"),
        ("a trailing comma", b"{\"items\": [],}"),
        ("a comment", b"{} // no"),
        ("not a number", b"{\"total\": NaN}"),
        ("a number beyond all numbers", b"{\"total\": 1e400}"),
        ("half a surrogate pair", b"{\"username\": \"\\ud800\"}"),
        ("bytes that are no UTF-8", b"{\"username\": \"\xff\xfe\"}"),
        ("a byte order mark", b"\xef\xbb\xbf{}"),
        (
            "a key twice",
            b"{\"email\": \"a@b.c\", \"email\": \"d@e.f\"}",
        ),
        (
            "a key twice further in",
            b"{\"items\": [{\"sku\": \"A\", \"sku\": \"B\"}]}",
        ),
        ("a form", b"email=a%40b.c&username=ada"),
    ];
    let mut bodies: Vec<_> = plain
        .into_iter()
        .map(|(name, body)| (name, body.to_vec()))
        .collect();
    bodies.push(("100,000 open brackets", "[".repeat(100_000).into_bytes()));
    bodies.push((
        "100,000 open objects",
        "{\"a\":".repeat(100_000).into_bytes(),
    ));
    bodies.push((
        "200 levels, all closed",
        format!("{}{}", "[".repeat(200), "]".repeat(200)).into_bytes(),
    ));
    bodies
}

fn wrong() -> Vec<(&'static str, Vec<u8>)> {
    let bodies = [
        ("null", "null"),
        ("a list", "[]"),
        ("a text", "\"order\""),
        ("a number", "7"),
        ("an empty object", "{}"),
    ];
    bodies
        .into_iter()
        .map(|(name, body)| (name, body.into()))
        .collect()
}

fn others(route: &'static str, who: Who) -> Vec<Case> {
    let many_keys: String = (0..50_000).map(|n| format!("\"k{n}\":{n},")).collect();
    let many_keys = format!("{{{}\"end\":0}}", many_keys);
    let large = json!({"username": "a".repeat(TOO_LARGE)}).to_string();
    let named = |name: &str| format!("{name} to {route}");
    let empty = || Case::post("", route, "{}").by(who);
    let case = |name: &str, case: Case| Case {
        name: named(name),
        ..case
    };
    vec![
        Case::post(&named("50,000 unknown fields"), route, many_keys)
            .by(who)
            .is(400, "UNKNOWN_FIELD"),
        Case::post(&named("an unknown field"), route, "{\"no_such_field\": 1}")
            .by(who)
            .is(400, "UNKNOWN_FIELD"),
        Case::post(&named("more than 1 MiB"), route, large)
            .by(who)
            .is(413, "PAYLOAD_TOO_LARGE"),
        case(
            "no content type",
            empty()
                .without("content-type")
                .is(415, "UNSUPPORTED_MEDIA_TYPE"),
        ),
        case(
            "plain text",
            empty()
                .with("content-type", "text/plain")
                .is(415, "UNSUPPORTED_MEDIA_TYPE"),
        ),
        case(
            "XML",
            empty()
                .with("content-type", "application/xml")
                .is(415, "UNSUPPORTED_MEDIA_TYPE"),
        ),
        case(
            "a form's type",
            empty()
                .with("content-type", "application/x-www-form-urlencoded")
                .is(415, "UNSUPPORTED_MEDIA_TYPE"),
        ),
        case(
            "a nonsense type",
            empty()
                .with("content-type", ";;;")
                .is(415, "UNSUPPORTED_MEDIA_TYPE"),
        ),
        case(
            "an unknown encoding",
            empty()
                .with("content-encoding", "lzma")
                .is(415, "UNSUPPORTED_MEDIA_TYPE"),
        ),
        case(
            "only pictures accepted",
            empty()
                .with("accept", "image/png")
                .is(406, "NOT_ACCEPTABLE"),
        ),
    ]
}
