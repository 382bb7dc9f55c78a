use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// What an HTTP/2 client with prior knowledge says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection is doing, as its bytes and requests tell.
///
/// Hyper's own header timeout cannot tell a half-sent head from an idle connection, and does not
/// run before the protocol is known. This can, and does.
#[derive(Debug)]
pub(crate) struct Activity {
    requests: AtomicUsize,
    preface_read: AtomicUsize,
    decided: AtomicBool,
    http2: AtomicBool,
    /// Since when a head is awaited whose first byte (or connection) is there.
    head_since: Mutex<Option<Instant>>,
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self {
            requests: AtomicUsize::new(0),
            preface_read: AtomicUsize::new(0),
            decided: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            head_since: Mutex::new(Some(Instant::now())),
        }
    }

    /// Bytes came in.
    pub(crate) fn read(&self, bytes: &[u8]) {
        if !self.decided.load(Ordering::Relaxed) {
            self.decide(bytes);
        }
        if !self.is_http2() && self.requests.load(Ordering::Relaxed) == 0 {
            self.head_since.lock().get_or_insert_with(Instant::now);
        }
    }

    /// A request's head is complete; the guard lives as long as its answer is made.
    pub(crate) fn request(self: &Arc<Self>) -> AtWork {
        self.requests.fetch_add(1, Ordering::Relaxed);
        *self.head_since.lock() = None;
        AtWork(self.clone())
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
    }

    /// Whether a head has been on its way for longer than this.
    pub(crate) fn is_stalled(&self, head_max: Duration) -> bool {
        self.head_since
            .lock()
            .is_some_and(|since| since.elapsed() >= head_max)
    }

    fn decide(&self, bytes: &[u8]) {
        let known = self.preface_read.load(Ordering::Relaxed);
        let rest = &PREFACE[known..];
        let length = rest.len().min(bytes.len());
        if bytes[..length] != rest[..length] {
            self.decided.store(true, Ordering::Relaxed);
        } else if known + length == PREFACE.len() {
            self.http2.store(true, Ordering::Relaxed);
            self.decided.store(true, Ordering::Relaxed);
            *self.head_since.lock() = None;
        } else {
            self.preface_read.store(known + length, Ordering::Relaxed);
        }
    }
}

/// A request being answered on a connection.
#[derive(Debug)]
pub(crate) struct AtWork(Arc<Activity>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_half_sent_head_stalls_and_an_idle_connection_does_not() {
        let max = Duration::from_secs(10);
        let activity = Arc::new(Activity::new());
        tokio::time::advance(max).await;
        assert!(activity.is_stalled(max), "nothing was sent at all");
        activity.read(b"GET / HTTP/1.1\r\n\r\n");
        drop(activity.request());
        tokio::time::advance(max * 3).await;
        assert!(!activity.is_stalled(max), "idle between requests");
        activity.read(b"GET / HT");
        tokio::time::advance(max).await;
        assert!(activity.is_stalled(max), "half a head");
    }

    #[test]
    fn the_preface_is_recognised_byte_by_byte() {
        let activity = Activity::new();
        for byte in PREFACE {
            assert!(!activity.is_http2());
            activity.read(&[*byte]);
        }
        assert!(activity.is_http2());
        let other = Activity::new();
        other.read(b"PRI * HTTP/1.1\r\n");
        other.read(b"0\r\n\r\nSM\r\n\r\n");
        assert!(!other.is_http2());
    }
}
