//! What hyper answers by itself to a head that has too much in it, said in our own words.
//!
//! It takes as many headers as we do. To take more, so that ours is the answer, it asks for two tables of 8 KiB for each
//! request of HTTP/1.1, which costs some hundredths of what a small request takes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use jiff::fmt::rfc2822::DateTimePrinter;
use stanchion_runtime::clock;
use tokio::io::AsyncWrite;

use super::activity::Activity;
use crate::{codes, envelope};

/// How its answer begins: a version, and the status.
const VERSION: &[u8] = b"HTTP/1.";
const STATUS: &[u8] = b" 431 ";
/// Each answer of ours has it, whoever made it.
const OURS: &[u8] = b"\r\nx-request-id:";

/// Our words on their way, in place of hyper's.
#[derive(Debug)]
pub(super) struct Refusal {
    words: Vec<u8>,
    written: usize,
}

impl Refusal {
    /// For what is about to be written, if it begins with hyper's answer to the head that is on its way. Only the status is
    /// looked at, for the rest is hyper's to say; and all that follows on the connection is of it.
    pub(super) fn instead_of(bytes: &[u8], activity: &Activity) -> Option<Self> {
        let status = bytes.strip_prefix(VERSION)?.get(1..)?;
        if !status.starts_with(STATUS) || !activity.reads_too_much() {
            return None;
        }
        let mut windows = bytes.windows(OURS.len());
        if windows.any(|window| window.eq_ignore_ascii_case(OURS)) {
            return None;
        }
        activity.refuse();
        let body = envelope::bytes(&codes::HEADERS_TOO_LARGE.problem());
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&clock::now());
        // The year is none of four digits: then there is no date.
        let date = date.map(|date| format!("date: {date}\r\n"));
        let head = format!(
            "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n\
             x-content-type-options: nosniff\r\ncontent-length: {}\r\nconnection: close\r\n{}\r\n",
            body.len(),
            date.unwrap_or_default()
        );
        Some(Self {
            words: [head.as_bytes(), &body].concat(),
            written: 0,
        })
    }

    /// Writes on; when all is written, as if so many bytes of hyper's had been.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        instead_of: usize,
    ) -> Poll<io::Result<usize>> {
        while let rest @ [_, ..] = &self.words[self.written..] {
            let written = ready!(Pin::new(&mut *stream).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        Poll::Ready(Ok(instead_of))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::super::activity::Protocol;
    use super::*;
    use crate::stack::HEADERS_MAX;

    /// A connection on which a head with so many headers is on its way.
    fn reading(headers: usize) -> Activity {
        let activity = Activity::new(Protocol::Http1);
        activity.read(b"GET / HTTP/1.1\r\n");
        for _ in 0..headers {
            assert!(activity.read(b"x: y\r\n"));
        }
        activity
    }

    /// What the client gets when hyper writes these, one after the other.
    fn written(pieces: &[&[u8]], activity: &Activity) -> Option<String> {
        let (first, _) = pieces.split_first()?;
        let mut refusal = Refusal::instead_of(first, activity)?;
        let mut stream = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        for piece in pieces {
            let written = refusal.poll_write(&mut stream, &mut context, piece.len());
            assert!(matches!(written, Poll::Ready(Ok(bytes)) if bytes == piece.len()));
        }
        String::from_utf8(stream).ok()
    }

    #[test]
    fn however_hyper_says_it_the_client_hears_our_words_once() {
        let cases: [&[&[u8]]; 5] = [
            &[
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\
                content-length: 0\r\ndate: Sun, 22 Nov 2026 22:00:00 GMT\r\n\r\n",
            ],
            &[b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\n\r\n"],
            &[b"HTTP/1.0 431 Too much\r\nserver: hyper\r\n\r\n"],
            &[b"HTTP/1.1 431 \r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nmuch"],
            &[
                b"HTTP/1.1 431 Large\r\ntransfer-encoding: chunked\r\n\r\n",
                b"4\r\nmuch\r\n",
                b"0\r\n\r\n",
            ],
        ];
        for pieces in cases {
            let activity = reading(HEADERS_MAX + 1);
            let said = written(pieces, &activity).expect("a refusal");
            let (head, body) = said.split_once("\r\n\r\n").expect("a head");
            let length = format!("content-length: {}", body.len());
            for line in [
                length.as_str(),
                "connection: close",
                "content-type: application/json",
            ] {
                assert_eq!(
                    head.lines().filter(|said| *said == line).count(),
                    1,
                    "{said}"
                );
            }
            assert!(
                head.starts_with("HTTP/1.1 431 ") && head.contains("\r\ndate: "),
                "{said}"
            );
            assert!(
                body.contains("HEADERS_TOO_LARGE") && activity.is_refused(),
                "{said}"
            );
        }
    }

    #[test]
    fn what_is_no_refusal_of_that_head_goes_as_it_is() {
        let its: &[u8] = b"HTTP/1.1 431 Large\r\ncontent-length: 0\r\n\r\n";
        let too_much = reading(HEADERS_MAX + 1);
        for (bytes, activity) in [
            (its, &reading(HEADERS_MAX - 1)),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), &too_much),
            (
                b"HTTP/1.1 431 Large\r\nX-Request-Id: a\r\n\r\n".as_slice(),
                &too_much,
            ),
            (b"HTTP/1.1 43".as_slice(), &too_much),
            (b"".as_slice(), &too_much),
        ] {
            assert!(Refusal::instead_of(bytes, activity).is_none());
            assert!(!activity.is_refused());
        }
    }
}
