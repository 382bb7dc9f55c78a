use std::time::Duration;

use tokio::time::Instant;

/// The length of a frame's head (RFC 9113, 4.1).
const HEAD_BYTES: usize = 9;
const END_STREAM: u8 = 1;

/// What a client may spend at once, and what it gets back a second.
const CREDIT_MAX: u64 = 2_048;
const CREDIT_A_SECOND: u64 = 100;
/// So many bytes that the client took of our answers are worth one more.
const SENT_BYTES_A_CREDIT: u64 = 64;
/// What each frame of an answer is worth.
const ANSWERED_CREDIT: u64 = 2;

/// What HTTP/2's frames that ask for nothing may cost: a credit that requests, bodies, taken answers and time fill up.
///
/// PING, SETTINGS, PRIORITY, WINDOW_UPDATE, resets and empty DATA are cheap to send, make us work, and nothing in the
/// protocol bounds them. Clients that use what they ask for never run out: who estimates bandwidth by PING or returns
/// windows does so for bytes that it took. A request that is reset at once costs more than it brings (CVE-2023-44487).
#[derive(Debug)]
pub(crate) struct Frames {
    /// Of the frame whose head is read.
    head: [u8; HEAD_BYTES],
    head_filled: usize,
    /// What is left of the payload before the next head.
    payload_left: usize,
    credit: u64,
    /// Of bytes sent, not yet worth a credit.
    sent: u64,
    filled_at: Instant,
}

impl Frames {
    /// Begins behind the preface.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            head: [0; HEAD_BYTES],
            head_filled: 0,
            payload_left: 0,
            credit: CREDIT_MAX,
            sent: 0,
            filled_at: now,
        }
    }

    /// Bytes that came in; false when the credit is spent.
    pub(crate) fn read(&mut self, mut bytes: &[u8], now: Instant) -> bool {
        self.refill(now);
        while !bytes.is_empty() {
            let skipped = self.payload_left.min(bytes.len());
            self.payload_left -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEAD_BYTES - self.head_filled).min(bytes.len());
            self.head[self.head_filled..self.head_filled + taken].copy_from_slice(&bytes[..taken]);
            self.head_filled += taken;
            bytes = &bytes[taken..];
            if self.head_filled == HEAD_BYTES && !self.frame() {
                return false;
            }
        }
        true
    }

    /// Bytes of ours that the client took.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
        self.earn(self.sent / SENT_BYTES_A_CREDIT);
        self.sent %= SENT_BYTES_A_CREDIT;
    }

    /// A frame of an answer went out: whoever estimates bandwidth sends a PING and returns a window for it.
    pub(crate) fn answered(&mut self) {
        self.earn(ANSWERED_CREDIT);
    }

    /// A head is complete; false when its frame cannot be paid for.
    fn frame(&mut self) -> bool {
        let [a, b, c, kind, flags, ..] = self.head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        self.head_filled = 0;
        self.payload_left = length;
        let cost = match kind {
            // DATA with something in it, or the last of a body.
            0 if length > 0 || flags & END_STREAM != 0 => 0,
            // HEADERS: a request.
            1 => {
                self.earn(1);
                0
            }
            // RST_STREAM: with the credit of its request it still costs one.
            3 => 2,
            _ => 1,
        };
        let paid = self.credit.checked_sub(cost);
        self.credit = paid.unwrap_or_default();
        paid.is_some()
    }

    fn refill(&mut self, now: Instant) {
        let each = Duration::from_secs(1) / CREDIT_A_SECOND as u32;
        let earned = now.saturating_duration_since(self.filled_at).as_nanos() / each.as_nanos();
        if let Ok(earned @ 1..) = u64::try_from(earned) {
            self.filled_at = now;
            self.earn(earned);
        }
    }

    fn earn(&mut self, credit: u64) {
        self.credit = self.credit.saturating_add(credit).min(CREDIT_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.extend(payload);
        frame
    }

    /// How many of these in a row are taken, fed in pieces of so many bytes.
    fn taken(frame: &[u8], piece: usize) -> usize {
        let now = Instant::now();
        let mut frames = Frames::new(now);
        let fits = |frames: &mut Frames| frame.chunks(piece).all(|bytes| frames.read(bytes, now));
        (0..100_000).take_while(|_| fits(&mut frames)).count()
    }

    #[test]
    fn what_asks_for_nothing_is_bounded_and_what_asks_for_something_is_not() {
        for piece in [1, 5, 100] {
            let ping = frame(6, 0, &[0; 8]);
            assert_eq!(taken(&ping, piece), 2_048);
            let reset = [frame(1, 4, b"head"), frame(3, 0, &[0; 4])].concat();
            assert_eq!(taken(&reset, piece), 2_047);
            assert_eq!(taken(&frame(0, 0, b""), piece), 2_048, "empty DATA");
            assert_eq!(taken(&frame(0, 0, b"body"), piece), 100_000);
            assert_eq!(taken(&frame(1, 5, b"head"), piece), 100_000);
        }
    }

    #[test]
    fn time_and_answers_that_are_taken_pay() {
        let mut now = Instant::now();
        let mut frames = Frames::new(now);
        let update = frame(8, 0, &[0; 4]);
        for _ in 0..100_000 {
            // A window is returned for every hundred bytes.
            frames.sent(100);
            assert!(frames.read(&update, now));
        }
        let ping = frame(6, 0, &[0; 8]);
        for _ in 0..CREDIT_MAX - 1 {
            assert!(frames.read(&ping, now));
        }
        now += Duration::from_secs(1);
        for _ in 0..CREDIT_A_SECOND {
            assert!(frames.read(&ping, now));
        }
        assert!(!frames.read(&ping, now));
    }
}
