//! G2: requests that mean two things, or too much: refused, and the connection ended, so that nobody in between reads
//! another request than we do.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::super::shop::settings;
use super::*;

/// Follows every request: if it is answered, somebody smuggled it in.
const NEXT: &str = "GET /api/v1/seen HTTP/1.1\r\nhost: smuggled\r\n\r\n";

pub(super) const WRITES: &str = "POST /echo HTTP/1.1\r\nhost: a\r\n";

/// The statuses of all answers, until the connection ends.
pub(super) async fn statuses(address: SocketAddr, request: &[u8]) -> Vec<u16> {
    let mut line = Line::open(address).await;
    // A connection that is closed meanwhile is an answer as well.
    let _ = line.0.write_all(request).await;
    let _ = line.0.write_all(NEXT.as_bytes()).await;
    let mut answers = Vec::new();
    let ended = timeout(Duration::from_secs(3), line.0.read_to_end(&mut answers)).await;
    let text = String::from_utf8_lossy(&answers);
    let asked: String = String::from_utf8_lossy(request).chars().take(200).collect();
    assert!(ended.is_ok(), "{asked:?}: the connection goes on: {text}");
    statuses_in(&text)
}

/// Those of all answers in what was read.
pub(super) fn statuses_in(text: &str) -> Vec<u16> {
    let answers = text.split("HTTP/1.1 ").skip(1);
    let status = |answer: &str| answer.get(..3)?.parse().ok();
    answers.filter_map(status).collect()
}

#[tokio::test]
async fn what_means_two_things_is_refused_once_and_for_all() {
    let abused = Abused::start(settings()).await;
    let heads = [
        // Two lengths.
        "content-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        "content-length: 1, 2\r\n\r\nxx",
        "content-length: +2\r\n\r\nxx",
        "content-length: -2\r\n\r\nxx",
        "content-length: 0x2\r\n\r\nxx",
        "content-length: 2 2\r\n\r\nxx",
        "content-length: 99999999999999999999\r\n\r\nxx",
        // A length and chunks, in either order, and hidden a little.
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nX: y\r\nContent-LENGTH: 5\r\n\r\n0\r\n\r\n",
        // Codings that somebody else would ignore.
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "transfer-encoding: gzip\r\n\r\n0\r\n\r\n",
        "transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\0\r\n\r\n0\r\n\r\n",
        " transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        // Lines that go on, or end where they should not.
        "x: y\r\n folded\r\n\r\n",
        "x: y\rz: w\r\n\r\n",
        "x: y\0z\r\n\r\n",
        "no colon\r\n\r\n",
        ": no name\r\n\r\n",
        // Another host.
        "host: b\r\n\r\n",
        // Chunks that are none.
        "transfer-encoding: chunked\r\n\r\nxyz\r\n",
        "transfer-encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nx",
        "transfer-encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n1\nx\n0\n\n",
    ];
    for head in heads {
        let got = statuses(abused.address, format!("{WRITES}{head}").as_bytes()).await;
        assert!(matches!(got[..], [400]), "{head:?}: {got:?}");
    }
    let whole = [
        "POST /echo HTTP/1.1\r\n\r\n",
        "POST /echo HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET http://b/api/v1/seen HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /api/v1/seen HTTP/1.1 \r\nhost: a\r\n\r\n",
        "GET /api/v1/\x01seen HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET\t/api/v1/seen\tHTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /api/v1/seen HTTP/3.0\r\nhost: a\r\n\r\n",
        "GET /api/v1/seen\r\n\r\n",
    ];
    for request in whole {
        let got = statuses(abused.address, request.as_bytes()).await;
        assert!(
            matches!(got[..], [400 | 404 | 505] | []),
            "{request:?}: {got:?}"
        );
    }
}

/// Its length comes with the end of the body before, where nobody looks for it.
#[tokio::test]
async fn a_length_that_hides_behind_a_body_ends_the_connection() {
    const BOTH: &str = "transfer-encoding: chunked\r\ncontent-length: 5\r\n";
    let abused = Abused::start(settings()).await;
    for rest in ["y", "POST /echo HTTP/1.1"] {
        let mut line = Line::open(abused.address).await;
        line.say(&format!("{WRITES}content-length: 4\r\n\r\nab"))
            .await;
        sleep(Duration::from_millis(50)).await;
        line.say(&format!("cd{WRITES}{BOTH}x: ")).await;
        let (head, body) = line.answer().await.unwrap();
        assert!(head.starts_with("http/1.1 200") && body == "abcd", "{head}");
        line.say(&format!("{rest}\r\nz: w\r\n\r\n0\r\n\r\n{NEXT}"))
            .await;
        let (head, _) = line.answer().await.unwrap();
        assert!(head.contains("connection: close"), "{rest}: {head}");
        assert_eq!(line.answer().await, None, "{rest}: the smuggled one");
    }
}

#[tokio::test]
async fn what_is_chunked_in_good_order_keeps_its_connection() {
    let abused = Abused::start(settings()).await;
    let mut line = Line::open(abused.address).await;
    for _ in 0..3 {
        let body = "transfer-encoding: chunked\r\n\r\n2;name=value\r\nhi\r\n0\r\n\r\n";
        line.say(&format!("{WRITES}{body}")).await;
        let (head, body) = line.answer().await.unwrap();
        assert!(
            head.starts_with("http/1.1 200") && body == "hi",
            "{head}{body}"
        );
        assert!(!head.contains("connection: close"), "{head}");
    }
    // A line may end in a line feed alone (RFC 9112, 2.2), and then each of them does.
    line.say("GET /api/v1/seen HTTP/1.1\nhost: a\n\n").await;
    assert!(line.answer().await.unwrap().0.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn a_head_or_a_chunk_without_measure_is_refused_and_costs_little() {
    let abused = Abused::start(settings()).await;
    let neighbour = abused.neighbour();
    let before = resident_bytes();
    let many = "x: y\r\n".repeat(10_000);
    let extension = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(1_000_000));
    let trailers = format!("0\r\n{}\r\n", "t: u\r\n".repeat(10_000));
    let cases = [
        ("10,000 headers", format!("{many}\r\n")),
        (
            "a header of 1 MB",
            format!("x: {}\r\n\r\n", "y".repeat(1_000_000)),
        ),
        (
            "a chunk's extension",
            format!("transfer-encoding: chunked\r\n\r\n{extension}"),
        ),
        (
            "10,000 trailers",
            format!("transfer-encoding: chunked\r\n\r\n{trailers}"),
        ),
    ];
    for (name, case) in cases {
        for _ in 0..5 {
            let got = statuses(abused.address, format!("{WRITES}{case}").as_bytes()).await;
            assert!(matches!(got[..], [400 | 413 | 431] | []), "{name}: {got:?}");
        }
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    neighbour.noticed_nothing().await;
}
