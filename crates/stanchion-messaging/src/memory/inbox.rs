use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::{Claim, Claimed, Inbox, InboxEntry, InboxError, InboxKey, Position};

/// An inbox in memory, for tests.
#[derive(Default)]
pub struct MemoryInbox {
    rows: Mutex<HashMap<InboxKey, Row>>,
}

#[derive(Clone)]
struct Row {
    fingerprint: Option<[u8; 32]>,
    claim: Option<(Uuid, Timestamp)>,
    answer: Option<Vec<u8>>,
    position: Option<Position>,
    at: Timestamp,
}

/// Why an entry could not be settled.
#[derive(Debug, PartialEq, Eq)]
pub enum Unsettled {
    /// The key was dealt with before.
    Known {
        /// The answer given then.
        answer: Option<Vec<u8>>,
        /// Where its effect is.
        position: Option<Position>,
    },
    /// The claim is no longer the owner's.
    ClaimLost,
}

impl MemoryInbox {
    /// Looks whether an entry could be settled now.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, entry: &InboxEntry) -> Result<(), Unsettled> {
        let rows = self.rows.lock();
        let row = rows.get(&entry.key);
        match (row, entry.owner) {
            (None, None) => Ok(()),
            (
                Some(Row {
                    claim: Some((owner, _)),
                    ..
                }),
                Some(wanted),
            ) if *owner == wanted => Ok(()),
            // Also to an owner whose claim was taken over meanwhile.
            (Some(row), _) if row.claim.is_none() => Err(Unsettled::Known {
                answer: row.answer.clone(),
                position: row.position,
            }),
            _ => Err(Unsettled::ClaimLost),
        }
    }

    /// Writes the row of an entry whose effect is at `position`.
    pub fn settle(&self, entry: &InboxEntry, position: Option<Position>, at: Timestamp) {
        let mut rows = self.rows.lock();
        let fingerprint = rows.get(&entry.key).and_then(|row| row.fingerprint);
        let row = Row {
            fingerprint,
            claim: None,
            answer: entry.answer.clone(),
            position,
            at,
        };
        rows.insert(entry.key.clone(), row);
    }
}

#[async_trait]
impl Inbox for MemoryInbox {
    async fn claim(&self, claim: &Claim) -> Result<Claimed, InboxError> {
        let mut rows = self.rows.lock();
        if let Some(row) = rows.get(&claim.key) {
            let expired = matches!(row.claim, Some((_, end)) if end <= claim.now);
            if !expired
                && row
                    .fingerprint
                    .is_some_and(|known| known != claim.fingerprint)
            {
                return Ok(Claimed::Reused);
            }
            match (&row.claim, &row.answer) {
                (Some(_), _) if !expired => return Ok(Claimed::Running),
                // Settled, be it without an answer.
                (None, answer) => {
                    let answer = answer.clone().unwrap_or_default();
                    let position = row.position;
                    return Ok(Claimed::Answered { answer, position });
                }
                _ => {}
            }
        }
        let row = Row {
            fingerprint: Some(claim.fingerprint),
            claim: Some((claim.owner, claim.expires_at)),
            answer: None,
            position: None,
            at: claim.now,
        };
        rows.insert(claim.key.clone(), row);
        Ok(Claimed::Fresh)
    }

    async fn complete(
        &self,
        key: &InboxKey,
        owner: Uuid,
        answer: &[u8],
    ) -> Result<bool, InboxError> {
        let mut rows = self.rows.lock();
        match rows.get_mut(key) {
            Some(row) if matches!(row.claim, Some((holder, _)) if holder == owner) => {
                row.claim = None;
                row.answer = Some(answer.to_vec());
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn release(&self, key: &InboxKey, owner: Uuid) -> Result<(), InboxError> {
        let mut rows = self.rows.lock();
        let held = |row: &Row| matches!(row.claim, Some((holder, _)) if holder == owner);
        if rows.get(key).is_some_and(held) {
            rows.remove(key);
        }
        Ok(())
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, InboxError> {
        let mut rows = self.rows.lock();
        let old = rows.iter().filter(|(key, row)| {
            key.as_str().starts_with("r/") && row.claim.is_none() && row.at < before
        });
        let old: Vec<InboxKey> = old.map(|(key, _)| key.clone()).take(limit).collect();
        for key in &old {
            rows.remove(key);
        }
        Ok(old.len())
    }
}
