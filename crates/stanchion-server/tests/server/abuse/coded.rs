//! G2: every way in which the two headers that end a body can be written a little wrong, as the public lists of such requests
//! have them (AWS's http_desync_guardian, Http11Probe): one reading, or 400 and the end of the connection.

use super::super::shop::settings;
use super::heads::{WRITES, statuses};
use super::*;

/// What is put before, into and behind a name or a value: blanks, control characters, what some take for blanks, and letters
/// of other alphabets that some fold to ours. A line feed ends a line (see `heads`).
const STRANGE: [&[u8]; 15] = [
    b" ",
    b"\t",
    b"\x0b",
    b"\x0c",
    b"\r",
    b"\0",
    b"\x01",
    b"\x11",
    b"\x7f",
    b"\x80",
    b"\x88",
    b"\xa0",
    "\u{a0}".as_bytes(),
    "\u{2003}".as_bytes(),
    "\u{17f}".as_bytes(),
];

/// Five bytes that are a whole body of chunks, and nothing else that a request could begin with.
const NO_CHUNKS: &str = "0\r\n\r\n";

/// `text` with something put at a place.
fn with(text: &str, at: usize, strange: &[u8]) -> Vec<u8> {
    let (before, behind) = text.as_bytes().split_at(at);
    [before, strange, behind].concat()
}

fn line(name: &[u8], value: &[u8]) -> Vec<u8> {
    [name, b": ", value, b"\r\n"].concat()
}

/// A request with these lines and a body of no chunks; what came of it and of whatever it smuggled.
async fn asked(address: SocketAddr, lines: &[Vec<u8>]) -> Vec<u16> {
    let rest = format!("\r\n{NO_CHUNKS}");
    let all = [WRITES.as_bytes(), &lines.concat(), rest.as_bytes()].concat();
    statuses(address, &all).await
}

/// A value may have blanks around it (RFC 9110, 5.5).
fn is_blank(strange: &[u8]) -> bool {
    matches!(strange, b" " | b"\t")
}

#[tokio::test]
async fn a_name_that_is_written_a_little_wrong_is_refused() {
    let abused = Abused::start(settings()).await;
    let mut count = 0;
    for (name, value, other) in [
        ("Transfer-Encoding", "chunked", "content-length: 5"),
        ("Content-Length", "5", "transfer-encoding: chunked"),
    ] {
        for strange in STRANGE {
            for at in [0, 1, 8, name.len() - 1, name.len()] {
                let wrong = line(&with(name, at, strange), value.as_bytes());
                let other = [other.as_bytes(), b"\r\n"].concat();
                for lines in [
                    vec![wrong.clone()],
                    vec![wrong.clone(), other.clone()],
                    vec![other.clone(), wrong.clone()],
                ] {
                    let got = asked(abused.address, &lines).await;
                    let text = String::from_utf8_lossy(&lines.concat()).into_owned();
                    assert!(matches!(got[..], [400]), "{text:?}: {got:?}");
                    count += 1;
                }
            }
        }
    }
    println!("{count} requests");
}

#[tokio::test]
async fn a_value_that_is_written_a_little_wrong_is_refused() {
    let abused = Abused::start(settings()).await;
    for (name, value) in [("Transfer-Encoding", "chunked"), ("Content-Length", "55")] {
        for strange in STRANGE {
            for at in [0, 1, value.len()] {
                let is_around = at == 0 || at == value.len();
                if is_around && is_blank(strange) {
                    continue;
                }
                let wrong = line(name.as_bytes(), &with(value, at, strange));
                let got = asked(abused.address, std::slice::from_ref(&wrong)).await;
                let text = String::from_utf8_lossy(&wrong).into_owned();
                assert!(matches!(got[..], [400]), "{text:?}: {got:?}");
            }
        }
    }
}

/// Somebody in between may look at the first coding, at the last, or for the word alone.
#[tokio::test]
async fn a_body_that_is_coded_otherwise_than_in_chunks_once_is_refused() {
    let abused = Abused::start(settings()).await;
    for codings in [
        &["chunked, chunked"][..],
        &["chunked,chunked"],
        &["chunked", "chunked"],
        &["identity, chunked"],
        &["identity", "chunked"],
        &["chunked", "identity"],
        &["gzip, chunked"],
        &["gzip", "chunked"],
        &["x, chunked"],
        &["xchunked", "chunked"],
        &["chunk", "chunked"],
        &[", chunked"],
        &["chunked,"],
        &["", "chunked"],
        &["chunked", ""],
        &[""],
        &["chunked;q=1"],
        &["chunked; a=b"],
        &["\"chunked\""],
        &["chunked chunked"],
        &["identity"],
        &["cow"],
    ] {
        let lines: Vec<_> = codings
            .iter()
            .map(|coding| line(b"transfer-encoding", coding.as_bytes()))
            .collect();
        let got = asked(abused.address, &lines).await;
        assert!(matches!(got[..], [400]), "{codings:?}: {got:?}");
    }
    // However it is written, one is one.
    for good in ["chunked", "CHUNKED", "Chunked", " chunked ", "\tchunked\t"] {
        let lines = [line(b"Transfer-Encoding", good.as_bytes())];
        let rest = "\r\n0\r\n\r\nGET /api/v1/seen HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        let all = [WRITES.as_bytes(), &lines.concat(), rest.as_bytes()].concat();
        let got = statuses(abused.address, &all).await;
        assert_eq!(got[..2], [200, 200], "{good:?}: {got:?}");
    }
}

/// A name of its own that only looks like one of ours is no length, to us or to anybody: what follows is the next request.
#[tokio::test]
async fn a_name_that_only_looks_like_one_of_these_says_nothing() {
    let abused = Abused::start(settings()).await;
    for (name, value) in [
        ("Transfer_Encoding", "chunked"),
        ("Content_Length", "5"),
        ("Transfer---Encoding", "chunked"),
        ("X-Transfer-Encoding", "chunked"),
        ("Transfer-Encodings", "chunked"),
    ] {
        let got = asked(abused.address, &[line(name.as_bytes(), value.as_bytes())]).await;
        assert_eq!(got, [200, 400], "{name}");
    }
}
