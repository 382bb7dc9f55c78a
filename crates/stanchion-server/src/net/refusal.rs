//! What hyper answers by itself to a head that has too much in it, said in our own words.
//!
//! It takes as many headers as we do. To take more, so that ours is the answer, it asks for two tables of 8 KiB for each
//! request of HTTP/1.1, which costs some hundredths of what a small request takes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::activity::Activity;
use crate::{codes, envelope};

/// How its answer begins.
const BEGINS: &[u8] = b"HTTP/1.1 431 ";
const EMPTY: &str = "content-length: 0";

/// Our words on their way, in place of hyper's.
#[derive(Debug)]
pub(super) struct Refusal {
    words: Vec<u8>,
    written: usize,
    /// The length of what it stands for.
    instead_of: usize,
}

impl Refusal {
    /// For these bytes, if they are hyper's whole answer to the head that is on its way.
    pub(super) fn instead_of(bytes: &[u8], activity: &Activity) -> Option<Self> {
        if !bytes.starts_with(BEGINS) || !activity.reads_too_much() {
            return None;
        }
        let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
        // Nothing else, and no body: an answer of ours has headers that hyper does not know.
        let is_its =
            |line: &str| line == EMPTY || line == "connection: close" || line.starts_with("date: ");
        if !head.lines().skip(1).all(is_its) || !head.contains(EMPTY) {
            return None;
        }
        activity.refuse();
        let body = envelope::bytes(&codes::HEADERS_TOO_LARGE.problem());
        let told = format!(
            "content-type: application/json\r\nx-content-type-options: nosniff\r\ncontent-length: {}",
            body.len()
        );
        let head = head.replacen(EMPTY, &told, 1);
        Some(Self {
            words: [head.as_bytes(), b"\r\n\r\n", &body].concat(),
            written: 0,
            instead_of: bytes.len(),
        })
    }

    /// Writes on; when all is written, as if hyper's bytes had been.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        while let rest @ [_, ..] = &self.words[self.written..] {
            let written = ready!(Pin::new(&mut *stream).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        Poll::Ready(Ok(self.instead_of))
    }
}
