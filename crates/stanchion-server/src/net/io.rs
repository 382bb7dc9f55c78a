use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::cut::Cut;
use super::held::Held;
use super::refusal::Refusal;

/// Pieces of so many bytes in all are written as one: to copy them costs less than a call of the system that takes pieces
/// does more than one that takes bytes. A small answer's head and body come as two.
const ONE_BYTES_MAX: usize = 1024;

/// A socket that gives up on a peer that takes nothing.
///
/// It stands below TLS: what is above has buffers of its own, takes writes into them, and is stuck only when it
/// flushes or shuts down. A flush of a long answer to a slow client does not end for minutes, and is no sign of one
/// that takes nothing; a write to the socket that cannot go on is.
pub(crate) struct TimedIo {
    socket: TcpStream,
    write_timeout: Duration,
    blocked: Option<Pin<Box<Sleep>>>,
}

impl TimedIo {
    pub(crate) fn new(socket: TcpStream, write_timeout: Duration) -> Self {
        Self {
            socket,
            write_timeout,
            blocked: None,
        }
    }

    /// A write that cannot go on starts the clock, one that does stops it.
    fn timed<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.blocked = None;
            return written;
        }
        let timeout = self.write_timeout;
        let blocked = self.blocked.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(blocked.as_mut().poll(context));
        // The kernel would keep what it has of the answer for as long as the client is there.
        let _ = self.socket.set_zero_linger();
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client takes nothing of the answer",
        )))
    }
}

impl AsyncRead for TimedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for TimedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.timed(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut one = [0; ONE_BYTES_MAX];
        let written = match joined(slices, &mut one) {
            Some(bytes) => Pin::new(&mut self.socket).poll_write(context, bytes),
            None => Pin::new(&mut self.socket).poll_write_vectored(context, slices),
        };
        self.timed(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Of a socket always ready, which is no sign that the peer takes anything.
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// What these pieces are in one, if they are one or fit here.
fn joined<'b>(
    slices: &'b [io::IoSlice<'_>],
    room: &'b mut [u8; ONE_BYTES_MAX],
) -> Option<&'b [u8]> {
    if let [one] = slices {
        return Some(one);
    }
    let mut length = 0;
    for slice in slices {
        let end = length + slice.len();
        room.get_mut(length..end)?.copy_from_slice(slice);
        length = end;
    }
    Some(&room[..length])
}

/// A connection, or TLS over one, that tells what it reads and writes.
pub(super) struct WatchedIo<S> {
    stream: S,
    activity: Arc<Activity>,
    refusal: Option<Refusal>,
    /// Two may wait, each for its own.
    reads: Cut,
    writes: Cut,
    _held: Held,
}

impl<S> WatchedIo<S> {
    /// `cut`: when it ends, should another protocol be spoken on it by then.
    pub(super) fn new(
        stream: S,
        activity: Arc<Activity>,
        held: Held,
        cut: &CancellationToken,
    ) -> Self {
        Self {
            stream,
            activity,
            refusal: None,
            reads: Cut::at(cut.clone()),
            writes: Cut::at(cut.clone()),
            _held: held,
        }
    }

    fn is_upgraded(&self) -> bool {
        self.activity.upgrade.get().is_some()
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.activity.wrote(*bytes);
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_upgraded() {
            self.reads.check(context)?;
        }
        // Whoever floods us is read no more; the connection is about to end.
        if self.activity.is_spent() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        let read = &buffer.filled()[before..];
        if !read.is_empty() && !self.activity.read(read) {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "another protocol than was agreed on",
            )));
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> WatchedIo<S> {
    /// What is written in place of so many bytes that begin like this; `None` where they go as they are.
    fn refused(
        &mut self,
        begin: &[u8],
        length: usize,
        context: &mut Context<'_>,
    ) -> Option<Poll<io::Result<usize>>> {
        if self.refusal.is_none() {
            self.refusal = Refusal::instead_of(begin, &self.activity);
        }
        // It stays: what hyper has to say beyond it is said.
        let refusal = self.refusal.as_mut()?;
        Some(refusal.poll_write(&mut self.stream, context, length))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WatchedIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_upgraded() {
            self.writes.check(context)?;
        }
        if let Some(written) = self.refused(bytes, bytes.len(), context) {
            return written;
        }
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_upgraded() {
            self.writes.check(context)?;
        }
        let begin = slices.iter().find(|slice| !slice.is_empty());
        let length = slices.iter().map(|slice| slice.len()).sum();
        if let Some(begin) = begin
            && let Some(written) = self.refused(begin, length, context)
        {
            return written;
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::*;

    #[test]
    fn small_pieces_are_one_and_large_ones_stay_as_they_are() {
        let mut room = [0; ONE_BYTES_MAX];
        let (half, large) = ([7; ONE_BYTES_MAX / 2], [7; ONE_BYTES_MAX * 2]);
        for (pieces, whole) in [
            (vec![], Some(0)),
            (vec![&large[..]], Some(large.len())),
            (vec![&half[..], &half[..]], Some(ONE_BYTES_MAX)),
            (vec![&half[..], &[], &half[..], &[7]], None),
            (vec![&[], &large[..]], None),
        ] {
            let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let one = joined(&slices, &mut room).map(<[u8]>::to_vec);
            assert_eq!(one, whole.map(|length| vec![7; length]), "{pieces:?}");
        }
    }
}
