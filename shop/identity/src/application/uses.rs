use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use super::ports::Standing;
use super::{Failure, Identity};
use crate::domain::SessionId;

/// How far `last_used_at` may lie behind; a session that is used all the time is written this often, by each process.
const BEHIND_MAX: SignedDuration = SignedDuration::from_secs(60);

/// The most sessions whose use waits to be written; a use beyond that is noted when the session is used again.
const WAITING_MAX: usize = 10_000;

/// The most uses in one transaction, which holds their rows for so long.
const BATCH: usize = 100;

/// When sessions were used whose rows do not say so yet. Lost with the process: it is no more than a hint for their users.
#[derive(Debug, Default)]
pub(crate) struct Uses(Mutex<HashMap<SessionId, Timestamp>>);

impl Uses {
    /// Whether there was room for it.
    fn note(&self, session: SessionId, at: Timestamp) -> bool {
        let mut waiting = self.0.lock();
        let fits = waiting.len() < WAITING_MAX || waiting.contains_key(&session);
        if fits {
            waiting.insert(session, at);
        }
        fits
    }

    /// In the order of ids: two processes that write the same rows do not wait for each other.
    fn take(&self) -> Vec<(SessionId, Timestamp)> {
        let waiting = std::mem::take(&mut *self.0.lock());
        let mut uses: Vec<_> = waiting.into_iter().collect();
        uses.sort_by_key(|(session, _)| session.0);
        uses
    }
}

impl Identity {
    /// Not a write a request: at most one a minute for each session that is in use.
    pub(super) fn note_use(&self, session: SessionId, standing: &Standing, now: Timestamp) {
        let behind = now.duration_since(standing.last_used_at);
        if behind >= BEHIND_MAX && !self.uses.note(session, now) {
            self.counts.use_dropped();
        }
    }

    /// Writes what was noted since the last time.
    pub(crate) async fn write_uses(&self) -> Result<(), Failure> {
        for batch in self.uses.take().chunks(BATCH) {
            let transaction = self.db.begin();
            self.sessions.note_uses(&transaction, batch).await?;
            transaction.commit().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use stanchion::runtime::{clock, id};

    use super::*;

    #[test]
    fn uses_wait_once_a_session_and_no_more_than_the_bound() {
        let uses = Uses::default();
        let (first, now) = (SessionId(id::new_v7()), clock::now());
        for _ in 0..3 {
            assert!(uses.note(first, now));
        }
        for _ in 1..WAITING_MAX {
            assert!(uses.note(SessionId(id::new_v7()), now));
        }
        assert!(!uses.note(SessionId(id::new_v7()), now));
        assert!(uses.note(first, now));
        let taken = uses.take();
        assert_eq!(taken.len(), WAITING_MAX);
        assert!(taken.is_sorted_by_key(|(session, _)| session.0));
        assert!(uses.take().is_empty());
    }
}
