//! One connection through the proxy.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::sleep,
};

use super::{Armed, Cut, Shared};

const CHUNK: usize = 16 * 1024;

/// What is remembered of a turn to look for a pattern in; a pattern further in is not found.
const TURN_MAX: usize = 256 * 1024;

/// The state of one connection: whose turn it is, and what is left until a cut.
pub(super) struct Pass {
    shared: Arc<Shared>,
    turn: Mutex<Turn>,
}

#[derive(Default)]
struct Turn {
    /// What the client sent since the server last answered.
    sent: Vec<u8>,
    /// Bytes of the reply that still pass, once a cut waits in it.
    reply_left: Option<usize>,
    /// Nobody hears anybody.
    silent: bool,
}

/// What a chunk comes to.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Passes,
    /// So much of it passes, then the connection ends.
    CutAfter(usize),
    /// Nothing passes any more, in neither direction.
    Falls,
}

impl Pass {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let turn = Mutex::default();
        Self { shared, turn }
    }

    /// Passes on until one side closes, a cut comes, or everything is severed. Both ends are closed then.
    ///
    /// Both directions run at once: with one waiting for the other, two full buffers would stand still for ever.
    pub(super) async fn run(self, client: TcpStream, server: TcpStream) {
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::select! {
            () = self.pump(from_client, to_server, |chunk| self.sent(chunk)) => {}
            () = self.pump(from_server, to_client, |chunk| self.answered(chunk.len())) => {}
        }
    }

    async fn pump(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        fate: impl Fn(&[u8]) -> Fate,
    ) {
        let mut weather = self.shared.weather.subscribe();
        let born = weather.borrow_and_update().severed;
        let mut buffer = [0; CHUNK];
        loop {
            let now = *weather.borrow_and_update();
            if now.severed != born {
                return;
            }
            let chunk = tokio::select! {
                _ = weather.changed() => continue,
                chunk = read(&mut from, &mut buffer), if !now.stalled => chunk,
            };
            let Some(chunk) = chunk else { return };
            if !now.delay.is_zero() {
                sleep(now.delay).await;
            }
            let (passes, goes_on) = match fate(chunk) {
                Fate::Passes => (chunk, true),
                Fate::CutAfter(bytes) => (&chunk[..bytes], false),
                Fate::Falls => continue,
            };
            if to.write_all(passes).await.is_err() || !goes_on {
                return;
            }
        }
    }

    /// The client goes on with its turn, or begins a new one.
    fn sent(&self, chunk: &[u8]) -> Fate {
        let mut turn = self.turn();
        if turn.silent {
            return Fate::Falls;
        }
        let before = turn.sent.len();
        let room = TURN_MAX.saturating_sub(before);
        let lower = chunk.iter().take(room).map(u8::to_ascii_lowercase);
        turn.sent.extend(lower);
        let armed = self.shared.armed.take_if(|armed| fits(armed, &turn.sent));
        let Some(armed) = armed else {
            return Fate::Passes;
        };
        let passes = match armed.cut {
            // What came in earlier chunks has passed already.
            Cut::Turn(bytes) => bytes.saturating_sub(before).min(chunk.len()),
            Cut::Tail(bytes) => chunk.len().saturating_sub(bytes),
            Cut::Reply(bytes) => {
                turn.reply_left = Some(bytes);
                return Fate::Passes;
            }
            Cut::Silence => {
                turn.silent = true;
                return Fate::Falls;
            }
        };
        self.shared.counts.cut_turns.fetch_add(1, Ordering::Relaxed);
        Fate::CutAfter(passes)
    }

    fn answered(&self, length: usize) -> Fate {
        let mut turn = self.turn();
        if turn.silent {
            return Fate::Falls;
        }
        turn.sent.clear();
        match &mut turn.reply_left {
            None => Fate::Passes,
            Some(left) if *left >= length && *left > 0 => {
                *left -= length;
                Fate::Passes
            }
            Some(left) => {
                self.shared
                    .counts
                    .cut_replies
                    .fetch_add(1, Ordering::Relaxed);
                Fate::CutAfter(*left)
            }
        }
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fits(armed: &Armed, turn: &[u8]) -> bool {
    let pattern = armed.pattern.as_slice();
    pattern.is_empty() || turn.windows(pattern.len()).any(|found| found == pattern)
}

/// `None` at the end of the stream.
async fn read<'a>(from: &mut OwnedReadHalf, into: &'a mut [u8]) -> Option<&'a [u8]> {
    match from.read(into).await {
        Ok(0) | Err(_) => None,
        Ok(length) => Some(&into[..length]),
    }
}
