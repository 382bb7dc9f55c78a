//! HTTP/1.1 with keep-alive: one request, its answer, the next.

use std::io;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::tally::Tally;

const REQUEST: &[u8] = b"GET /hello/world HTTP/1.1\r\nhost: bench\r\nuser-agent: load\r\naccept: */*\r\n\r\n";
/// Every server answers with this in the body, or is no part of the comparison.
const EXPECTED: &[u8] = b"Hello, world!";
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Asks until the connection ends or the caller goes away.
///
/// # Errors
/// The connection ended, or the answer is not the one that is expected.
pub async fn ask(mut stream: TcpStream, tally: &Tally) -> io::Result<()> {
    let mut buffer = vec![0; ANSWER_BYTES_MAX];
    loop {
        let asked = Instant::now();
        stream.write_all(REQUEST).await?;
        let mut filled = 0;
        while !is_whole(&buffer[..filled])? {
            let read = stream.read(&mut buffer[filled..]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
        }
        tally.answered(asked);
    }
}

fn is_whole(answer: &[u8]) -> io::Result<bool> {
    let Some(head) = find(answer, b"\r\n\r\n") else {
        return Ok(false);
    };
    let (head, body) = answer.split_at(head + 4);
    if !head.starts_with(b"HTTP/1.1 200 ") {
        return Err(io::Error::other("an answer other than 200"));
    }
    if body.len() < length(head).ok_or_else(|| io::Error::other("an answer without its length"))? {
        return Ok(false);
    }
    if find(body, EXPECTED).is_none() {
        return Err(io::Error::other("another answer than expected"));
    }
    Ok(true)
}

fn length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length: ";
    let lines = head.split(|byte| *byte == b'\n');
    let mut values = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then_some(value)
    });
    std::str::from_utf8(values.next()?).ok()?.trim().parse().ok()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
