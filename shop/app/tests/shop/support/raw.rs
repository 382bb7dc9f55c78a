//! Bytes on a socket, for requests that no client library would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Answer;

/// More than any answer here has.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// What came back on a connection until the other side closed it, or nothing more came.
pub(crate) async fn exchange(address: &str, request: &[u8], within: Duration) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The other side may answer and close before it has read everything: that is no failure.
    let _ = stream.write_all(request).await;
    read_all(&mut stream, within).await
}

/// What comes until the other side closes, or for so long.
pub(crate) async fn read_all(stream: &mut TcpStream, within: Duration) -> String {
    let mut bytes = Vec::new();
    let mut limited = stream.take(ANSWER_BYTES_MAX);
    let _ = timeout(within, limited.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An HTTP/1.1 answer with a plain body, taken apart; status 0 when nothing came.
pub(crate) fn parse(asked: &str, text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    Answer {
        asked: asked.to_owned(),
        status,
        headers: head.lines().skip(1).filter_map(header).collect(),
        text: body.to_owned(),
    }
}

fn header(line: &str) -> Option<(reqwest::header::HeaderName, reqwest::header::HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}
