//! gRPC's unary `bench.hello.v1.Health/Check` over HTTP/2: frames by hand, several streams of a connection at once.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::tally::Tally;

/// Calls under way on a connection.
const STREAMS: usize = 8;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// `INITIAL_WINDOW_SIZE` at its maximum, and no pushes: nobody waits for us to make room.
const OUR_SETTINGS: [u8; 12] = [0, 4, 0x7f, 0xff, 0xff, 0xff, 0, 2, 0, 0, 0, 0];
/// Of the connection, from 65,535 to its maximum.
const WINDOW: u32 = 0x7fff_ffff - 0xffff;
/// No compression, no bytes: the service with the empty name, which is the whole server.
const MESSAGE: [u8; 5] = [0; 5];

/// Asks until the connection ends or the caller goes away.
///
/// # Errors
/// The connection ended, or a call came to something else than a message and a status.
pub async fn ask(mut stream: TcpStream, tally: &Tally) -> io::Result<()> {
    let mut out = PREFACE.to_vec();
    frame(&mut out, SETTINGS, 0, 0, &OUR_SETTINGS);
    frame(&mut out, WINDOW_UPDATE, 0, 0, &WINDOW.to_be_bytes());
    let mut calls = Calls::default();
    for _ in 0..STREAMS {
        calls.begin(&mut out);
    }
    let mut buffer = vec![0; 64 * 1024];
    let mut filled = 0;
    loop {
        if !out.is_empty() {
            stream.write_all(&out).await?;
            out.clear();
        }
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        let mut taken = 0;
        while let Some(received) = Frame::first(&buffer[taken..filled]) {
            taken += HEAD + received.payload.len();
            calls.take(&received, &mut out, tally)?;
        }
        buffer.copy_within(taken..filled, 0);
        filled -= taken;
    }
}

struct Frame<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        Some(Self {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff,
            payload: rest.get(..length)?,
        })
    }
}

/// The calls of a connection.
#[derive(Default)]
struct Calls {
    begun: u32,
    open: HashMap<u32, Call>,
}

struct Call {
    asked: Instant,
    has_message: bool,
}

impl Calls {
    fn begin(&mut self, out: &mut Vec<u8>) {
        let stream = self.begun * 2 + 1;
        let first = self.begun == 0;
        self.begun += 1;
        frame(out, HEADERS, END_HEADERS, stream, &headers(first));
        frame(out, DATA, END_STREAM, stream, &MESSAGE);
        let call = Call {
            asked: Instant::now(),
            has_message: false,
        };
        self.open.insert(stream, call);
    }

    fn take(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>, tally: &Tally) -> io::Result<()> {
        match frame.kind {
            DATA => {
                if let Some(call) = self.open.get_mut(&frame.stream) {
                    call.has_message = true;
                }
            }
            HEADERS if frame.flags & END_STREAM != 0 => {
                // What has no message has failed: its status stands alone.
                let call = self.open.remove(&frame.stream);
                let call = call.filter(|call| call.has_message);
                tally.answered(call.ok_or_else(|| io::Error::other("a call failed"))?.asked);
                self.begin(out);
            }
            SETTINGS if frame.flags & ACK == 0 => self::frame(out, SETTINGS, ACK, 0, &[]),
            PING if frame.flags & ACK == 0 => self::frame(out, PING, ACK, 0, frame.payload),
            RESET | GOAWAY => return Err(io::Error::other("the server resets what is asked")),
            _ => {}
        }
        Ok(())
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// HPACK without Huffman codes: the first call enters what is not in the static table, later ones name it by number.
fn headers(first: bool) -> Vec<u8> {
    // `:method: POST`, `:scheme: http`.
    let mut block = vec![0x83, 0x86];
    if !first {
        // Last entered, lowest number: path, authority, content-type, te.
        block.extend([0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62]);
        return block;
    }
    let mut enter = |name: u8, value: &str| {
        block.extend([0x40 | name, value.len() as u8]);
        block.extend(value.as_bytes());
    };
    enter(4, "/bench.hello.v1.Health/Check");
    enter(1, "bench");
    enter(31, "application/grpc");
    block.extend([0x40, 2]);
    block.extend(b"te");
    block.push(8);
    block.extend(b"trailers");
    block
}
