//! Where lines go.

use std::io::{IsTerminal, Write as _};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use stanchion_runtime::task;

/// How long a line waits for others at most.
const GATHERED_FOR: Duration = Duration::from_millis(20);
/// How many bytes wait at most; who brings more writes them.
const GATHERED_BYTES_MAX: usize = 32 * 1024;

pub(crate) type Sink = Arc<dyn Write>;

/// Takes whole lines.
pub(crate) trait Write: Send + Sync {
    /// Writes a line at once or, if it may wait, soon; never out of its turn.
    fn write(&self, line: &str, may_wait: bool);
}

/// Standard error. On a terminal somebody is looking: nothing waits there.
pub(crate) fn stderr() -> Sink {
    if std::io::stderr().is_terminal() {
        return Arc::new(write_stderr as fn(&[u8]));
    }
    Gathered::start(write_stderr)
}

/// A line, or several, in one write.
fn write_stderr(lines: &[u8]) {
    // Nobody is left to be told that nobody can be told.
    let _ = std::io::stderr().lock().write_all(lines);
}

impl<F: Fn(&[u8]) + Send + Sync> Write for F {
    fn write(&self, line: &str, _: bool) {
        self(line.as_bytes());
    }
}

/// Gathers lines that may wait, so that a thousand of them are not a thousand calls of the system.
struct Gathered<F> {
    waiting: Mutex<Vec<u8>>,
    /// The first line waits.
    begun: Condvar,
    write: F,
}

impl<F: Fn(&[u8]) + Send + Sync + 'static> Gathered<F> {
    /// With a thread of its own, which lasts as long as the process.
    fn start(write: F) -> Arc<Self> {
        let gathered = Arc::new(Self {
            waiting: Mutex::default(),
            begun: Condvar::new(),
            write,
        });
        let ending = Arc::clone(&gathered);
        drop(task::thread("log-lines", move || ending.end_waits()));
        gathered
    }

    fn end_waits(&self) {
        loop {
            let mut waiting = self.waiting.lock();
            self.begun
                .wait_while(&mut waiting, |waiting| waiting.is_empty());
            drop(waiting);
            std::thread::sleep(GATHERED_FOR);
            self.flush(&mut self.waiting.lock());
        }
    }

    fn flush(&self, waiting: &mut Vec<u8>) {
        if !waiting.is_empty() {
            (self.write)(waiting);
            waiting.clear();
        }
    }
}

impl<F: Fn(&[u8]) + Send + Sync + 'static> Write for Gathered<F> {
    fn write(&self, line: &str, may_wait: bool) {
        let mut waiting = self.waiting.lock();
        let first = waiting.is_empty();
        // Whole lines only, in one write: nobody reads half of one.
        waiting.extend_from_slice(line.as_bytes());
        if !may_wait || waiting.len() >= GATHERED_BYTES_MAX {
            self.flush(&mut waiting);
        } else if first {
            self.begun.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::*;

    fn gathered() -> (Arc<impl Write>, Receiver<String>) {
        let (write, written) = channel();
        let write = move |lines: &[u8]| {
            // A test that has ended looks at nothing any more.
            let _ = write.send(String::from_utf8(lines.to_vec()).unwrap());
        };
        (Gathered::start(write), written)
    }

    #[test]
    fn a_line_that_cannot_wait_goes_at_once_and_those_that_wait_before_it() {
        let (sink, written) = gathered();
        sink.write("one\n", true);
        sink.write("two\n", true);
        sink.write("three\n", false);
        let all: String = written.try_iter().collect();
        assert_eq!(all, "one\ntwo\nthree\n");
    }

    #[test]
    fn a_line_that_waits_is_written_though_no_other_comes() {
        let (sink, written) = gathered();
        for line in ["first\n", "second\n"] {
            sink.write(line, true);
            let soon = written.recv_timeout(Duration::from_secs(10));
            assert_eq!(soon.as_deref(), Ok(line));
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let (sink, written) = gathered();
        let line = "x".repeat(GATHERED_BYTES_MAX);
        sink.write(&line, true);
        assert_eq!(written.try_recv().as_deref(), Ok(&*line));
    }
}
