//! HTTP/2 by hand, right and wrong: a client library would not send most of it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection.
pub struct Wire(TcpStream);

/// What the other side sent.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Header fields, each literal and never indexed.
pub fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0x10);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A length in seven bits and more (RFC 7541, 5.1).
pub fn length(block: &mut Vec<u8>, mut length: usize) {
    if length < 127 {
        return block.push(length as u8);
    }
    block.push(127);
    length -= 127;
    while length >= 128 {
        block.push((length % 128) as u8 | 128);
        length /= 128;
    }
    block.push(length as u8);
}

/// The head of `GET path`, or `POST path` when a body follows.
pub fn ask(stream: u32, path: &str, body_follows: bool) -> Vec<u8> {
    let method = if body_follows { "POST" } else { "GET" };
    let block = fields(&[
        (":method", method),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
    ]);
    let end = if body_follows { 0 } else { END_STREAM };
    frame(HEADERS, END_HEADERS | end, stream, &block)
}

impl Wire {
    /// Connects and says the preface, with these settings.
    pub async fn open(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut wire = Self(stream);
        let settings = settings.iter().flat_map(|(name, value)| {
            [name.to_be_bytes().as_slice(), &value.to_be_bytes()].concat()
        });
        let settings = frame(SETTINGS, 0, 0, &settings.collect::<Vec<_>>());
        wire.send(&[PREFACE, &settings].concat()).await;
        wire
    }

    /// A connection on which the preface was said.
    pub fn over(stream: TcpStream) -> Self {
        Self(stream)
    }

    /// False when the other side takes nothing any more.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// The same; false also when nothing of it is taken for so long.
    pub async fn send_within(&mut self, bytes: &[u8], within: Duration) -> bool {
        timeout(within, self.send(bytes)).await.unwrap_or(false)
    }

    /// What came meanwhile is thrown away, so that the other side is never stuck.
    pub fn discard(&mut self) {
        let mut rest = [0; 16 * 1024];
        while self.0.try_read(&mut rest).is_ok_and(|read| read > 0) {}
    }

    /// The next frame; none when the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: head[3],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    /// The next frame of this kind, or none until the connection ends or five seconds are over.
    pub async fn next_of(&mut self, kind: u8) -> Option<Frame> {
        let found = async {
            loop {
                let frame = self.next().await?;
                if frame.kind == kind {
                    return Some(frame);
                }
            }
        };
        timeout(Duration::from_secs(5), found).await.ok().flatten()
    }

    /// Reads to the end of the connection; the code of the last GOAWAY, if there was one.
    pub async fn ended(&mut self) -> Option<u32> {
        let mut code = None;
        let all = async {
            while let Some(frame) = self.next().await {
                if frame.kind == GOAWAY {
                    code = frame.payload[4..8].try_into().ok().map(u32::from_be_bytes);
                }
            }
        };
        let ended = timeout(Duration::from_secs(5), all).await;
        ended.expect("the connection ends");
        code
    }
}
