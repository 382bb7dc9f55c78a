use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;

/// Streams a peer may open and reset before they are looked at.
const PENDING_RESETS_MAX: usize = 20;
/// Streams reset for the peer's errors before the connection is ended: its requests were begun, and it makes us take
/// them back (CVE-2025-8671, MadeYouReset). A client has few such errors, whatever h2's default of 1024 allows.
const ERROR_RESETS_MAX: usize = 100;
/// What hyper reads of a head; beyond our own bound, so that ours answers in its own form.
const HEAD_BYTES_HARD_MAX: usize = 128 * 1024;
/// How much of an answer is kept for an HTTP/2 stream whose client is slow.
const SEND_BYTES_MAX: usize = 256 * 1024;

/// Hyper's part of each connection, with so many streams of HTTP/2 at once.
pub(super) fn builder(streams_max: u32) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // Hyper's header timeout counts idle time too, by a timer that is set for each request: `Activity` knows of both.
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES_HARD_MAX)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams_max)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .max_header_list_size(HEAD_BYTES_HARD_MAX as u32)
        // Without PING: whether a client is still there the kernel finds out, see `kernel`.
        .max_send_buf_size(SEND_BYTES_MAX);
    builder
}
