//! The one question a readiness probe asks; a whole HTTP client would be the largest dependency of this crate.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// A status line is shorter.
const HEAD_BYTES_MAX: u64 = 1024;

/// The status code of `GET url`.
pub(super) async fn status(url: &str, deadline: Duration) -> Result<u16> {
    timeout(deadline, get(url))
        .await
        .context("no answer in time")?
}

async fn get(url: &str) -> Result<u16> {
    let rest = url
        .strip_prefix("http://")
        .context("only http:// can be asked")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(authority).await?;
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = String::new();
    // A server that keeps the connection open must not keep us waiting: the first line is enough.
    BufReader::new(stream.take(HEAD_BYTES_MAX))
        .read_line(&mut head)
        .await?;
    let code = head.split_whitespace().nth(1).context("no status line")?;
    Ok(code.parse()?)
}
