mod at_work;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Request;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use self::at_work::AtWork;
use super::frames::Frames;
use crate::stack::{HEADERS_MAX, Upgrading};

/// What an HTTP/2 client with prior knowledge says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// So much of a head is kept until it is parsed, and so much room afterwards.
const HEAD_KEPT_MAX: usize = 64 * 1024;
const HEAD_ROOM: usize = 1024;

/// What was agreed on by the handshake of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Nothing: it is as its first bytes tell.
    Any,
    Http1,
    Http2,
}

/// What a connection is doing, as its bytes and requests tell.
///
/// Hyper's own header timeout cannot tell a half-sent head from an idle connection, and does not
/// run before the protocol is known. This can, and does.
#[derive(Debug)]
pub(crate) struct Activity {
    /// Hyper's connections with upgrades take any, whatever they are told.
    agreed: Protocol,
    requests: AtomicUsize,
    /// All that were ever asked, modulo what fits.
    asked: AtomicUsize,
    preface_read: AtomicUsize,
    decided: AtomicBool,
    http2: AtomicBool,
    head: Mutex<Head>,
    /// Once it is HTTP/2.
    frames: Mutex<Option<Frames>>,
    /// What is read and written is none of HTTP any more.
    is_over: AtomicBool,
    /// The request that made another protocol of it, from its answer on.
    pub(super) upgrade: OnceLock<Upgrading>,
    /// Its last head had too much in it.
    is_refused: AtomicBool,
    /// The credit of its frames is spent: nothing more is read.
    is_spent: AtomicBool,
    spent: Notify,
    answers: Mutex<Answers>,
}

/// The head that is awaited over HTTP/1.1.
#[derive(Debug)]
struct Head {
    /// Since when, if its first byte (or the connection) is there.
    since: Option<Instant>,
    /// What came of it: hyper leaves out headers that others would have believed. What came with the request before, or
    /// with its body, is missing.
    bytes: Vec<u8>,
}

/// Pieces of answers over HTTP/2, which the client takes when it likes.
#[derive(Debug)]
struct Answers {
    /// Those that it has not taken.
    held: usize,
    /// When one was there, was taken or a request was done with last.
    moved_at: Instant,
}

impl Activity {
    pub(super) fn new(agreed: Protocol) -> Self {
        let now = Instant::now();
        Self {
            agreed,
            requests: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            preface_read: AtomicUsize::new(0),
            decided: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            head: Mutex::new(Head {
                since: Some(now),
                bytes: Vec::new(),
            }),
            frames: Mutex::new(None),
            is_over: AtomicBool::new(false),
            upgrade: OnceLock::new(),
            is_refused: AtomicBool::new(false),
            is_spent: AtomicBool::new(false),
            spent: Notify::new(),
            answers: Mutex::new(Answers {
                held: 0,
                moved_at: now,
            }),
        }
    }

    /// Bytes came in; false when they are another protocol than was agreed on, and nobody may see them.
    pub(crate) fn read(&self, mut bytes: &[u8]) -> bool {
        if self.is_over.load(Ordering::Relaxed) {
            return true;
        }
        if !self.decided.load(Ordering::Relaxed) {
            bytes = self.decide(bytes);
            let is_http2 = self.is_http2();
            let decided = self.decided.load(Ordering::Relaxed);
            match self.agreed {
                Protocol::Http1 if is_http2 => return false,
                Protocol::Http2 if decided && !is_http2 => return false,
                _ => {}
            }
        }
        if self.is_http2() {
            let paid = |frames: &mut Frames| frames.read(bytes, Instant::now());
            if !self.frames.lock().as_mut().is_none_or(paid) {
                self.is_spent.store(true, Ordering::Relaxed);
                self.spent.notify_one();
            }
        } else if self.requests.load(Ordering::Relaxed) == 0 {
            let mut head = self.head.lock();
            // Of most heads nothing is missing: they are no wait, and the clock is not read for them.
            if !(head.bytes.is_empty() && is_whole(bytes)) {
                head.since.get_or_insert_with(Instant::now);
            }
            let room = HEAD_KEPT_MAX.saturating_sub(head.bytes.len());
            let kept = bytes.len().min(room);
            head.bytes.extend_from_slice(&bytes[..kept]);
        }
        true
    }

    /// It has ended, or another protocol has taken it over.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.head.lock().bytes = Vec::new();
    }

    /// The client took bytes of ours.
    pub(crate) fn wrote(&self, bytes: usize) {
        if self.is_http2()
            && let Some(frames) = self.frames.lock().as_mut()
        {
            frames.sent(bytes);
        }
    }

    /// A frame of an answer goes out.
    pub(crate) fn answered(&self) {
        if let Some(frames) = self.frames.lock().as_mut() {
            frames.answered();
        }
    }

    /// A request's head is complete; the guard lives until it is answered.
    pub(crate) fn request(self: &Arc<Self>) -> AtWork {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.asked.fetch_add(1, Ordering::Relaxed);
        if !self.is_http2() {
            let mut head = self.head.lock();
            head.since = None;
            head.bytes.clear();
            head.bytes.shrink_to(HEAD_ROOM);
        }
        AtWork(Arc::clone(self))
    }

    /// Whether requests are being answered.
    pub(super) fn is_at_work(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    /// A request is answered.
    fn done(&self) {
        // In this order: who sees no request sees when the last one ended.
        if self.is_http2() {
            self.answers.lock().moved_at = Instant::now();
        }
        self.requests.fetch_sub(1, Ordering::Release);
    }

    /// Whether the head that was just read, of which hyper made this request, has a header of this name, as it was sent;
    /// `None` where it is not known: some of it came together with the request before, or it is longer than what is kept.
    pub(crate) fn head_names<B>(&self, header: &str, request: &Request<B>) -> Option<bool> {
        let head = self.head.lock();
        if head.bytes.len() >= HEAD_KEPT_MAX {
            return None;
        }
        let lines = head.bytes.split(|byte| *byte == b'\n');
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut lines = lines.skip_while(|line| line.is_empty());
        let (first, method) = (lines.next()?, request.method().as_str().as_bytes());
        let headers: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
        let is_named = headers.iter().any(|line| {
            let name = line.get(..header.len());
            name.is_some_and(|name| name.eq_ignore_ascii_case(header.as_bytes()))
        });
        // Of a head whose beginning is missing hyper has more headers than there are lines: at least the one in whose
        // value that ends.
        let is_whole = first.starts_with(method) && headers.len() >= request.headers().len();
        (is_named || is_whole).then_some(is_named)
    }

    /// Whether a head is on its way that has more headers than are taken, or more bytes than are kept of it.
    pub(super) fn reads_too_much(&self) -> bool {
        let head = self.head.lock();
        let lines = head.bytes.iter().filter(|byte| **byte == b'\n').count();
        let is_awaited = !self.is_http2() && self.requests.load(Ordering::Relaxed) == 0;
        // Its first line is none of them.
        is_awaited && (lines > HEADERS_MAX || head.bytes.len() >= HEAD_KEPT_MAX)
    }

    /// It is told so.
    pub(super) fn refuse(&self) {
        self.is_refused.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
    }

    /// Whether a head has been on its way for longer than this.
    pub(crate) fn is_stalled(&self, head_max: Duration) -> bool {
        let since = self.head.lock().since;
        since.is_some_and(|since| since.elapsed() >= head_max)
    }

    /// Whether the client could have taken something of its answers for as long as this, and took nothing of any.
    pub(crate) fn takes_nothing(&self, write_max: Duration) -> bool {
        let answers = self.answers.lock();
        answers.held > 0 && answers.moved_at.elapsed() >= write_max
    }

    /// How many requests were ever asked over HTTP/1.1, if none is being answered and no head is on its way.
    pub(crate) fn resting(&self) -> Option<usize> {
        let rests = !self.is_http2()
            && self.requests.load(Ordering::Acquire) == 0
            && self.head.lock().since.is_none();
        rests.then(|| self.asked.load(Ordering::Relaxed))
    }

    /// Whether nothing was asked over HTTP/2 for as long as this; of HTTP/1.1 see [`Rest`].
    pub(crate) fn is_idle(&self, idle_max: Duration) -> bool {
        let answers = self.answers.lock();
        self.is_http2()
            && self.requests.load(Ordering::Acquire) == 0
            && answers.held == 0
            && answers.moved_at.elapsed() >= idle_max
    }

    /// Whether its frames cost more than they brought: it is to be ended, and is read no more.
    pub(crate) fn is_spent(&self) -> bool {
        self.is_spent.load(Ordering::Relaxed)
    }

    /// Waits until it is.
    pub(crate) async fn spent(&self) {
        self.spent.notified().await;
    }

    /// A piece of an answer is there for the client.
    pub(crate) fn hold(&self) {
        let mut answers = self.answers.lock();
        answers.held += 1;
        answers.moved_at = Instant::now();
    }

    /// It has it, or will never have it.
    pub(crate) fn release(&self) {
        let mut answers = self.answers.lock();
        answers.held -= 1;
        answers.moved_at = Instant::now();
    }

    /// What follows the preface, once it is clear which protocol it is.
    fn decide<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let known = self.preface_read.load(Ordering::Relaxed);
        let rest = &PREFACE[known..];
        let length = rest.len().min(bytes.len());
        if bytes[..length] != rest[..length] {
            self.decided.store(true, Ordering::Relaxed);
            return bytes;
        }
        if known + length == PREFACE.len() {
            let mut head = self.head.lock();
            head.since = None;
            head.bytes = Vec::new();
            *self.frames.lock() = Some(Frames::new(Instant::now()));
            self.http2.store(true, Ordering::Relaxed);
            self.decided.store(true, Ordering::Relaxed);
            return &bytes[length..];
        }
        self.preface_read.store(known + length, Ordering::Relaxed);
        bytes
    }
}

/// Whether these bytes begin and end as a whole head does.
fn is_whole(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes.ends_with(b"\r\n\r\n")
}

/// Since when a connection of HTTP/1.1 rests, as far as looks from time to time tell: the time of each request is not
/// read for it, and no timer of hyper's set.
#[derive(Debug)]
pub(super) struct Rest {
    asked: Option<usize>,
    since: Instant,
}

impl Rest {
    pub(super) fn begin() -> Self {
        Self {
            asked: None,
            since: Instant::now(),
        }
    }

    /// How long it had rested by now, if the last look saw it rest and it has not moved since.
    pub(super) fn rested(&self) -> Duration {
        self.since.elapsed()
    }

    /// Looks once more; how long it has rested at least.
    pub(super) fn look(&mut self, activity: &Activity) -> Duration {
        let asked = activity.resting();
        if asked.is_none() || self.asked != asked {
            self.asked = asked;
            self.since = Instant::now();
        }
        self.rested()
    }
}
