//! What no client library would send, byte by byte.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::judge;
use crate::support::{Shop, raw};

const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// A head that never ends is given up after 5 to 10 seconds.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(15);

/// What is sent, and the statuses that are right; 0 is a connection that is closed without an answer.
fn rows() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let with = |headers: &str, body: &str| {
        let head = "POST /api/v1/users HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n";
        format!("{head}content-type: application/json\r\n{headers}\r\n{body}").into_bytes()
    };
    let get = |target: &str| {
        format!("GET {target} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n").into_bytes()
    };
    let many: String = (0..500).map(|n| format!("x-{n}: y\r\n")).collect();
    vec![
        (
            "one header of 200 KiB",
            with(&format!("x-long: {}\r\n", "y".repeat(200 * 1024)), ""),
            &[431],
        ),
        ("500 headers", with(&many, ""), &[431]),
        (
            "a path of 100 KiB",
            get(&format!("/{}", "a".repeat(100 * 1024))),
            &[414, 431],
        ),
        (
            "a query of 20 KiB",
            get(&format!("/api/v1/products?q={}", "a".repeat(20 * 1024))),
            &[400, 414],
        ),
        (
            "no host",
            b"GET /health HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec(),
            &[400],
        ),
        (
            "two hosts",
            b"GET /health HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n".to_vec(),
            &[400],
        ),
        (
            "two lengths",
            with("content-length: 2\r\ncontent-length: 3\r\n", "{}x"),
            &[400],
        ),
        (
            "a negative length",
            with("content-length: -1\r\n", "{}"),
            &[400],
        ),
        (
            "a length and chunks",
            with(
                "content-length: 4\r\ntransfer-encoding: chunked\r\n",
                "0\r\n\r\n",
            ),
            &[400],
        ),
        (
            "chunks that are none",
            with("transfer-encoding: chunked\r\n", "zz\r\n{}\r\n"),
            &[400],
        ),
        (
            "an unknown transfer encoding",
            with("transfer-encoding: gzip\r\n", "{}"),
            &[400, 501],
        ),
        (
            "a header with a space before its colon",
            with("x-a : b\r\ncontent-length: 2\r\n", "{}"),
            &[400],
        ),
        (
            "a folded header",
            with("x-a: b\r\n c\r\ncontent-length: 2\r\n", "{}"),
            &[400],
        ),
        (
            "a version that is none",
            b"GET /health HTTP/9.9\r\nhost: shop\r\n\r\n".to_vec(),
            &[0, 400, 505],
        ),
        (
            "a TLS hello",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            &[0, 400],
        ),
        ("noise", (0..=255).collect(), &[0, 400]),
        (
            "a path that climbs",
            get("/../../../etc/passwd"),
            &[400, 404],
        ),
        (
            "a docs path that climbs",
            get("/docs/..%2f..%2fCargo.toml"),
            &[400, 404],
        ),
        (
            "another server's address",
            get("http://example.com/api/v1/users/me"),
            &[400, 401, 404, 421],
        ),
        (
            "a CONNECT",
            b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n\r\n"
                .to_vec(),
            &[400, 404, 405],
        ),
    ]
}

#[tokio::test]
async fn bytes_that_are_no_request_are_refused_and_the_next_client_is_served() {
    let shop = Shop::start().await;
    let mut wrong = Vec::new();
    for (name, request, right) in rows() {
        let text = raw::exchange(&shop.address, &request, ANSWERED_WITHIN).await;
        let answer = raw::parse(name, &text);
        let verdict = if right.contains(&answer.status) {
            judge(&answer, answer.status, "")
        } else {
            Err(format!(
                "{} instead of {right:?}: {text:.300}",
                answer.status
            ))
        };
        if let Err(why) = verdict {
            wrong.push(format!("{name}: {why}"));
        }
        shop.fetch("/health").send().await.expect(200);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        shop.admin()
            .await
            .get("/users")
            .send()
            .await
            .expect(200)
            .meta()["total"],
        1
    );
}

#[tokio::test]
async fn a_head_that_never_ends_is_given_up() {
    let shop = Shop::start().await;
    let halves: [&[u8]; 3] = [
        b"",
        b"GET /hea",
        b"GET /health HTTP/1.1\r\nhost: shop\r\nx-slow: ",
    ];
    let given_up = halves.map(|half| {
        let address = shop.address.clone();
        async move {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            stream.write_all(half).await.unwrap();
            let begun = Instant::now();
            let text = raw::read_all(&mut stream, GIVEN_UP_WITHIN * 2).await;
            (begun.elapsed(), text)
        }
    });
    for (took, text) in futures_util::future::join_all(given_up).await {
        assert!(took < GIVEN_UP_WITHIN, "still open after {took:?}: {text}");
        let status = raw::parse("half a head", &text).status;
        assert!(matches!(status, 0 | 408), "{text}");
    }
}

#[tokio::test]
async fn a_body_that_never_comes_costs_no_more_than_the_requests_deadline() {
    let shop = Shop::start().await;
    let request = "POST /api/v1/users HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n\
                   x-request-timeout: 500ms\r\ncontent-length: 100\r\n\r\n{\"email\":";
    let begun = Instant::now();
    let text = raw::exchange(&shop.address, request.as_bytes(), GIVEN_UP_WITHIN).await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let answer = raw::parse("half a body", &text);
    assert!(matches!(answer.status, 408 | 504), "{text}");
}
