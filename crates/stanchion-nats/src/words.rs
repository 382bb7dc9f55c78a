//! What a member and the server say to each other beside the messages.

use bytes::Bytes;

use super::lane::ASK;

pub(crate) const ACK: &[u8] = b"+ACK";
pub(crate) const NAK: &[u8] = b"-NAK";
pub(crate) const PROGRESS: &[u8] = b"+WPI";
pub(crate) const TERM: &[u8] = b"+TERM";

/// A request for one message.
pub(crate) fn request() -> Bytes {
    Bytes::from(asked(""))
}

/// The same as a word about the message before: the server takes that for dealt with, then sees to the request.
pub(crate) fn next() -> Bytes {
    Bytes::from(asked("+NXT "))
}

fn asked(before: &str) -> String {
    format!("{before}{{\"batch\":1,\"expires\":{}}}", ASK.as_nanos())
}

/// What the server says of a delivery, in the subject to answer to.
pub(crate) struct Told {
    /// How often it was delivered, this time included.
    pub(crate) delivered: u64,
    /// Its number in the stream.
    pub(crate) sequence: u64,
    /// The number of this delivery among those of the partition to the group's members.
    pub(crate) turn: u64,
    /// How many the group has yet to be given of the partition.
    pub(crate) pending: u64,
}

/// `$JS.ACK.STREAM.CONSUMER.DELIVERED.SEQUENCE.CONSUMER_SEQUENCE.TIME.PENDING`, or with domain and account before the
/// stream and a token at the end (NATS ADR-15).
pub(crate) fn delivery(reply: &str) -> Told {
    let tokens: Vec<&str> = reply.split('.').collect();
    let first = if tokens.len() > 9 { 6 } else { 4 };
    let number = |index: usize| tokens.get(index).and_then(|text| text.parse().ok());
    Told {
        delivered: number(first).unwrap_or(1),
        sequence: number(first + 1).unwrap_or(0),
        turn: number(first + 2).unwrap_or(0),
        pending: number(first + 4).unwrap_or(0),
    }
}
