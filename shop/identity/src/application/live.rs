use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use shop_kernel::UserId;
use tokio::time::Instant;

use super::ports::Standing;
use crate::domain::SessionId;

/// How late a revocation by another process may count here, whatever else is cut or slow.
pub(super) const REVOKED_WITHIN: Duration = Duration::from_secs(1);

/// How long an answer counts at most while all revocations are heard of: for what is written past the rules.
const KEPT_MAX: Duration = Duration::from_secs(60);

/// The most sessions that are remembered, about 200 bytes each; those that were not asked for longest go first.
const ENTRIES_MAX: usize = 50_000;

/// What the store said of sessions, so that not every request has to ask it.
///
/// An answer counts for a second from when it was asked for. While this process [hears](Self::heard) of every revocation it
/// counts for a minute, and still no revocation counts later than a second after it: what is heard takes the answer back, and
/// when nothing was heard for a second (not even that there is nothing) the first rule is the only one again.
///
/// Only access tokens are checked against it; refreshing never is.
#[derive(Debug)]
pub(crate) struct LiveSessions {
    known: Mutex<Known>,
    /// Goes up with each revocation: an answer that was on its way meanwhile is not remembered.
    revocations: AtomicU64,
    begun: Instant,
    /// Milliseconds after `begun`, and one: everything revoked before then is forgotten here. 0: nothing was heard yet.
    heard: AtomicU64,
}

/// A question to the store, from before it was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    revocations: u64,
    asked_at: Instant,
}

/// Two halves: what is used moves to the young one, and the old one goes as a whole.
#[derive(Debug, Default)]
struct Known {
    young: HashMap<SessionId, Entry>,
    old: HashMap<SessionId, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    /// `None`: there is no such session, it has ended, or its user is not active.
    standing: Option<Standing>,
    asked_at: Instant,
}

impl Default for LiveSessions {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            revocations: AtomicU64::new(0),
            begun: Instant::now(),
            heard: AtomicU64::new(0),
        }
    }
}

impl LiveSessions {
    /// What is known of a session, if that still counts.
    pub(crate) fn get(&self, session: SessionId) -> Option<Option<Standing>> {
        let counts_for = if self.hears() {
            KEPT_MAX
        } else {
            REVOKED_WITHIN
        };
        let mut known = self.known.lock();
        let entry = known.get(session)?;
        (entry.asked_at.elapsed() < counts_for).then(|| entry.standing.clone())
    }

    /// What was known of a session at last, however old: for when nobody can be asked.
    pub(crate) fn last_known(&self, session: SessionId) -> Option<Option<Standing>> {
        let mut known = self.known.lock();
        Some(known.get(session)?.standing.clone())
    }

    pub(crate) fn ask(&self) -> Question {
        Question {
            revocations: self.revocations.load(Ordering::Acquire),
            asked_at: Instant::now(),
        }
    }

    pub(crate) fn remember(
        &self,
        question: Question,
        session: SessionId,
        standing: Option<Standing>,
    ) {
        let mut known = self.known.lock();
        if question.revocations != self.revocations.load(Ordering::Acquire) {
            return;
        }
        let asked_at = question.asked_at;
        let entry = Entry { standing, asked_at };
        if known
            .get(session)
            .is_none_or(|known| !known.is_newer(&entry))
        {
            known.keep(session, entry);
        }
    }

    pub(crate) fn forget(&self, sessions: &[SessionId]) {
        let mut known = self.known.lock();
        self.revocations.fetch_add(1, Ordering::AcqRel);
        for session in sessions {
            known.young.remove(session);
            known.old.remove(session);
        }
    }

    pub(crate) fn forget_user(&self, user: UserId) {
        let mut known = self.known.lock();
        self.revocations.fetch_add(1, Ordering::AcqRel);
        let others = |_: &SessionId, entry: &mut Entry| {
            let standing = entry.standing.as_ref();
            standing.is_none_or(|known| known.user != user)
        };
        known.young.retain(others);
        known.old.retain(others);
    }

    /// For when it is not known what was revoked.
    pub(crate) fn forget_all(&self) {
        let mut known = self.known.lock();
        self.revocations.fetch_add(1, Ordering::AcqRel);
        *known = Known::default();
    }

    /// Says that whatever was revoked before `at` is forgotten.
    pub(crate) fn heard(&self, at: Instant) {
        let millis = at.saturating_duration_since(self.begun).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX - 1);
        self.heard.fetch_max(millis + 1, Ordering::AcqRel);
    }

    /// Whether all is forgotten that was revoked up to a second ago.
    pub(crate) fn hears(&self) -> bool {
        let Some(heard) = self.heard.load(Ordering::Acquire).checked_sub(1) else {
            return false;
        };
        let heard = self.begun + Duration::from_millis(heard);
        heard.elapsed() < REVOKED_WITHIN
    }

    pub(crate) fn len(&self) -> usize {
        let known = self.known.lock();
        known.young.len() + known.old.len()
    }
}

impl Known {
    fn get(&mut self, session: SessionId) -> Option<&Entry> {
        if let Some(entry) = self.old.remove(&session) {
            self.keep(session, entry);
        }
        self.young.get(&session)
    }

    fn keep(&mut self, session: SessionId, entry: Entry) {
        if self.young.len() >= ENTRIES_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&session);
        self.young.insert(session, entry);
    }
}

impl Entry {
    /// By the user's epoch: answers may come in another order than they were asked for.
    fn is_newer(&self, than: &Self) -> bool {
        let epochs = self.standing.as_ref().zip(than.standing.as_ref());
        epochs.is_some_and(|(own, other)| own.epoch > other.epoch)
    }
}

#[cfg(test)]
mod tests;
