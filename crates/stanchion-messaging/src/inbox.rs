use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use crate::contract::family;
use crate::{LogId, Message, Position, partition_of};

/// What was dealt with: a consumer's message, or a caller's request under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InboxKey(String);

impl InboxKey {
    /// The key of a message for one consumer; `part` tells several effects of one message apart.
    #[must_use]
    pub fn message(consumer: &str, id: Uuid, part: Option<&str>) -> Self {
        match part {
            Some(part) => Self(format!("m/{consumer}/{id}/{part}")),
            None => Self(format!("m/{consumer}/{id}")),
        }
    }

    /// The key of a request: who called, which route, which idempotency key.
    #[must_use]
    pub fn request(caller: &str, route: &str, key: &str) -> Self {
        Self(format!("r/{caller}/{route}/{key}"))
    }

    /// Whose message, and which, a key as stored is of.
    #[must_use]
    pub fn parse_message(key: &str) -> Option<(&str, Uuid)> {
        let rest = key.strip_prefix("m/")?;
        // A consumer's name may have slashes; the first id is the message's.
        rest.match_indices('/').find_map(|(at, _)| {
            let (consumer, after) = (&rest[..at], &rest[at + 1..]);
            let id = after.split('/').next()?;
            Some((consumer, id.parse().ok()?))
        })
    }

    /// As stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InboxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An inbox row to be written in the same transaction as the effect.
///
/// Without an owner it is inserted, and a key that is there already drops the effect. With an owner
/// it completes the claim of that owner, and a claim that was lost meanwhile drops the effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEntry {
    /// What is dealt with.
    pub key: InboxKey,
    /// Who claimed it, for requests.
    pub owner: Option<Uuid>,
    /// What is answered to a repeat.
    pub answer: Option<Vec<u8>>,
}

impl InboxEntry {
    /// An entry without a claim, of a key of one's own. It is kept for ever, for nothing says when the last repeat of it has
    /// been: what is to be forgotten is of a message ([`Received::inbox`](crate::Received::inbox)), of a request, or of
    /// something that is tried until it is done and then never comes again ([`InboxEntry::passing`]).
    #[must_use]
    pub fn new(key: InboxKey) -> Self {
        Self {
            key,
            owner: None,
            answer: None,
        }
    }

    /// An entry of what is tried until it is done, and then never comes again, such as a time that a job was due: it is kept
    /// as long as those of messages. `what` says whose it is.
    #[must_use]
    pub fn passing(what: &str, id: Uuid) -> Self {
        let nowhere = MessageOrigin {
            log: LogId(Uuid::nil()),
            position: Position::START,
            partition: 0,
            family: String::new(),
        };
        Self {
            key: InboxKey::message(what, id, None),
            owner: None,
            answer: Some(nowhere.encode()),
        }
    }
}

/// Where a message that was dealt with came from: what its inbox row says in the place of an answer. Once the consumer is
/// past it the row may go, for the message can only be a repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageOrigin {
    /// The log.
    pub log: LogId,
    /// The entry's place in it.
    pub position: Position,
    /// The partition of its key.
    pub partition: u16,
    /// Its contract's family.
    pub family: String,
}

impl MessageOrigin {
    /// Of that message.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        Self {
            log: message.origin.log,
            position: message.origin.position,
            partition: partition_of(&message.key),
            family: family(&message.contract).to_owned(),
        }
    }

    /// As stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self {
            log,
            position,
            partition,
            family,
        } = self;
        format!("{log} {position} {partition} {family}").into_bytes()
    }

    /// As it was stored; `None` if it is something else.
    #[must_use]
    pub fn decode(stored: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(stored).ok()?.splitn(4, ' ');
        Some(Self {
            log: LogId(parts.next()?.parse().ok()?),
            position: Position(parts.next()?.parse().ok()?),
            partition: parts.next()?.parse().ok()?,
            family: parts.next()?.to_owned(),
        })
    }
}

/// A wish to deal with a request alone for a while.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What is to be dealt with.
    pub key: InboxKey,
    /// SHA-256 of what was asked: the same key with another body is another question.
    pub fingerprint: [u8; 32],
    /// Who will do it.
    pub owner: Uuid,
    /// The time of asking; a claim that expired before it may be taken over.
    pub now: Timestamp,
    /// When the claim ends by itself.
    pub expires_at: Timestamp,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is yours until it expires.
    Fresh,
    /// Somebody else is at it.
    Running,
    /// It was dealt with; this is the answer.
    Answered {
        /// What was answered.
        answer: Vec<u8>,
        /// Where in the log its effect is, if it has one.
        position: Option<Position>,
    },
    /// The key was used with another fingerprint.
    Reused,
}

/// The inbox could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("the inbox is unavailable: {0}")]
pub struct InboxError(pub String);

/// The keys already dealt with, each with the answer given.
///
/// The row that completes a claim is written by the effect itself ([`InboxEntry`]); this port is
/// for what stands around it. Survives a crash: completed rows; a claim ends at its expiry.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Claims a key, or says why not.
    async fn claim(&self, claim: &Claim) -> Result<Claimed, InboxError>;

    /// Stores the answer of a claim that had no effect of its own (a refusal); false if it was lost.
    async fn complete(
        &self,
        key: &InboxKey,
        owner: Uuid,
        answer: &[u8],
    ) -> Result<bool, InboxError>;

    /// Gives a claim back, so that a repeat may try again.
    async fn release(&self, key: &InboxKey, owner: Uuid) -> Result<(), InboxError>;

    /// Deletes at most `limit` rows of requests answered before `before`; returns how many.
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, InboxError>;

    /// Deletes the rows of messages dealt with before `before` that their consumers are past and have not parked, `limit` in
    /// a transaction; returns how many. A row that does not say where its message was from stays.
    ///
    /// An inbox that forgets nothing deletes none.
    async fn prune_messages(&self, before: Timestamp, limit: usize) -> Result<usize, InboxError> {
        let _nothing_to_do = (before, limit);
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_messages_key_says_whose_it_is_whatever_the_consumer_is_called() {
        let id = Uuid::from_u128(7);
        for consumer in ["fulfilment", "orders/fulfilment", "a/b/c"] {
            for part in [None, Some("one"), Some("one/two")] {
                let key = InboxKey::message(consumer, id, part);
                let parsed = InboxKey::parse_message(key.as_str());
                assert_eq!(parsed, Some((consumer, id)));
            }
        }
        for other in ["r/caller/route/key", "m/fulfilment", "m/fulfilment/7", ""] {
            assert_eq!(InboxKey::parse_message(other), None);
        }
    }
}
