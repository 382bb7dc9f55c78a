//! Whatever a client sends, each line of the log is one JSON object, and nothing in it moves a terminal.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{STOPPED_WITHIN, Shop, raw};

const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// What clears a screen, sets a window's title, goes back, ends a line in some reader's eyes.
const HOSTILE: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{8}\u{85}\u{2028}\u{202e}\u{0}\r\n{\"level\":\"ERROR\"}";

#[tokio::test]
async fn each_line_is_one_json_object_whatever_a_client_sends() {
    let debug = [("SHOP__TELEMETRY__LOG", "debug")];
    let mut shop = Shop::start_with(&debug).await;
    for request in bytes() {
        let text = raw::exchange(&shop.address, &request, ANSWERED_WITHIN).await;
        let status = raw::parse("bytes", &text).status;
        assert!(status < 500, "{text}");
    }
    texts(&shop).await;
    let large = format!(
        "GET /health HTTP/1.1\r\nhost: shop\r\nx-large: {}\r\n\r\n",
        "y".repeat(1 << 20)
    );
    let text = raw::exchange(&shop.address, large.as_bytes(), ANSWERED_WITHIN).await;
    let refused = raw::parse("a header of 1 MiB", &text).status;
    // Closed while it still sends: the refusal may be lost on the way.
    assert!(matches!(refused, 431 | 0), "{text:.300}");
    shop.fetch("/health").send().await.expect(200);
    shop.process.terminate(STOPPED_WITHIN).await.unwrap();

    let logged = shop.process.stderr();
    assert!(logged.lines().count() > 50, "{logged}");
    for line in logged.split('\n').filter(|line| !line.is_empty()) {
        let object: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let own = ["timestamp", "level", "message", "target"];
        assert!(own.iter().all(|name| object[name].is_string()), "{line}");
        assert_ne!(object["level"], "ERROR", "{line}");
        let moves = |c: char| {
            c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}')
        };
        assert!(!line.contains(moves), "{line:?}");
    }
}

/// Heads that no client library would send.
fn bytes() -> Vec<Vec<u8>> {
    let head = |target: &[u8], header: &[u8]| {
        let parts: [&[u8]; 5] = [
            b"GET ",
            target,
            b" HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n",
            header,
            b"\r\n",
        ];
        parts.concat()
    };
    vec![
        head(b"/%0d%0a%7b%22level%22:%22ERROR%22%7d", b""),
        head(b"/%00/%1b%5b2J/%e2%80%a8/%c2%85", b""),
        head(b"/\x1b[2J\"quoted\"\\", b""),
        head(b"/\xff\xfe\xed\xa0\x80", b""),
        head(b"/caf\xc3\xa9/\xe2\x80\xae", b""),
        head(b"/health", b"user-agent: \x1b[31mred\r\n"),
        head(b"/health", b"user-agent: \xed\xa0\x80\xff\"\\\r\n"),
        head(b"/health", b"x-request-id: a\"b\\c\r\n"),
        head(b"/health", b"x-request-id: \xff\x1b\r\n"),
        head(b"/health", b"traceparent: 00-\"-\x1b-zz\r\n"),
        head(b"/health", b"x-nul: a\0b\r\n"),
        head(
            b"/api/v1/users/me",
            b"authorization: Bearer \x1b[2J\"\\\xff\r\n",
        ),
        head(b"/api/v1/products?q=%1b%5b2J%0a%00&sort=%22%5c", b""),
        b"G\"E\\T /health HTTP/1.1\r\nhost: shop\r\n\r\n".to_vec(),
        b"\x1b[2J /health HTTP/1.1\r\nhost: shop\r\n\r\n".to_vec(),
        b"PROPFIND' /health HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n".to_vec(),
        b"\x00\x01\x02{\"level\":\"ERROR\"}\n\n".to_vec(),
    ]
}

/// The same within bodies and what is kept of them.
async fn texts(shop: &Shop) {
    let anyone = shop.anyone();
    let json_body = ("content-type", "application/json");
    for body in [
        r#"{"login":"\ud800\udfff\ud800","password":"x"}"#.to_owned(),
        r#"{"login":"a\u0000\u001b[2J\r\n","password":"\u0000"}"#.to_owned(),
        format!("{{\"login\":{},\"password\":\"x\"}}", json!(HOSTILE)),
        format!("{HOSTILE}{{"),
        "\"".repeat(10_000),
    ] {
        let ask = anyone.post("/auth/login").header(json_body.0, json_body.1);
        let answer = ask.body(body).send().await;
        assert!(answer.status < 500, "{}", answer.text);
    }
    let customer = json!({
        "email": "ada@example.com", "username": "ada", "password": "a password of some length",
        "first_name": HOSTILE,
    });
    let answer = anyone.post("/users").json(&customer).send().await;
    assert!(answer.status < 500, "{}", answer.text);
    let staff = shop.admin().await;
    let product = json!({
        "sku": "HOSTILE", "name": HOSTILE, "description": HOSTILE,
        "price": {"amount": 1, "currency": "EUR"},
    });
    let answer = staff.post("/products").json(&product).send().await;
    assert!(answer.status < 500, "{}", answer.text);
    let unknown = json!({HOSTILE: HOSTILE});
    let answer = staff.post("/products").json(&unknown).send().await;
    assert!(answer.status < 500, "{}", answer.text);
    for header in [
        "x-request-id",
        "user-agent",
        "if-match",
        "prefer",
        "accept",
        "idempotency-key",
    ] {
        let ask = staff.get("/users/me").header_bytes(header, b"\"\\\x80\xff");
        let answer = ask.send().await;
        assert!(answer.status < 500, "{header}: {}", answer.text);
    }
}
