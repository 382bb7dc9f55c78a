use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use shop_kernel::UserId;
use tokio::time::Instant;

use super::ports::Standing;
use crate::domain::SessionId;

/// How old an answer may be: what another process revokes is refused here after this.
const STALE_AFTER: Duration = Duration::from_secs(1);

/// The most sessions that are remembered; beyond that the store is asked each time.
const ENTRIES_MAX: usize = 10_000;

/// What the store said a moment ago about sessions, so that not every request has to ask it.
///
/// Only access tokens are checked against it; refreshing never is.
#[derive(Debug, Default)]
pub(crate) struct LiveSessions {
    entries: Mutex<HashMap<SessionId, Entry>>,
    /// Goes up with each revocation: an answer that was on its way meanwhile is not remembered.
    revocations: AtomicU64,
}

/// A question to the store, from before it was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    revocations: u64,
    asked_at: Instant,
}

#[derive(Debug)]
struct Entry {
    /// `None`: there is no such session, it has ended, or its user is not active.
    standing: Option<Standing>,
    asked_at: Instant,
}

impl LiveSessions {
    /// What is known of a session, if that is fresh.
    pub(crate) fn get(&self, session: SessionId) -> Option<Option<Standing>> {
        let entries = self.entries.lock();
        let entry = entries.get(&session).filter(|entry| entry.is_fresh())?;
        Some(entry.standing.clone())
    }

    /// What was known of a session at last, however old: for when nobody can be asked.
    pub(crate) fn last_known(&self, session: SessionId) -> Option<Option<Standing>> {
        let entries = self.entries.lock();
        Some(entries.get(&session)?.standing.clone())
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
        let mut entries = self.entries.lock();
        if question.revocations != self.revocations.load(Ordering::Acquire) {
            return;
        }
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, entry| entry.is_fresh());
        }
        if entries.len() < ENTRIES_MAX {
            let asked_at = question.asked_at;
            entries.insert(session, Entry { standing, asked_at });
        }
    }

    pub(crate) fn forget(&self, sessions: &[SessionId]) {
        let mut entries = self.entries.lock();
        self.revocations.fetch_add(1, Ordering::AcqRel);
        for session in sessions {
            entries.remove(session);
        }
    }

    pub(crate) fn forget_user(&self, user: UserId) {
        let mut entries = self.entries.lock();
        self.revocations.fetch_add(1, Ordering::AcqRel);
        entries.retain(|_, entry| {
            entry
                .standing
                .as_ref()
                .is_none_or(|known| known.user != user)
        });
    }
}

impl Entry {
    fn is_fresh(&self) -> bool {
        self.asked_at.elapsed() < STALE_AFTER
    }
}

#[cfg(test)]
mod tests {
    use stanchion::runtime::id;

    use super::*;
    use crate::domain::{Role, RoleSet};

    fn standing() -> Standing {
        Standing {
            user: UserId(id::new_v7()),
            roles: RoleSet::of(Role::Customer),
        }
    }

    fn session() -> SessionId {
        SessionId(id::new_v7())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_for_a_second_from_when_it_was_asked_for() {
        let live = LiveSessions::default();
        let (id, who) = (session(), standing());
        let question = live.ask();
        tokio::time::advance(Duration::from_millis(400)).await;
        live.remember(question, id, Some(who.clone()));
        tokio::time::advance(Duration::from_millis(599)).await;
        assert_eq!(live.get(id), Some(Some(who)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(live.get(id), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_revoked_here_is_forgotten_at_once() {
        let live = LiveSessions::default();
        let (one, other, who) = (session(), session(), standing());
        live.remember(live.ask(), one, Some(who.clone()));
        live.remember(live.ask(), other, Some(who.clone()));
        live.forget(&[one]);
        assert!(live.get(one).is_none() && live.get(other).is_some());
        live.forget_user(who.user);
        assert!(live.get(other).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_from_before_a_revocation_is_not_remembered() {
        let live = LiveSessions::default();
        let id = session();
        let question = live.ask();
        live.forget(&[id]);
        live.remember(question, id, Some(standing()));
        assert_eq!(live.get(id), None);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_sessions_are_remembered_than_the_bound() {
        let live = LiveSessions::default();
        for _ in 0..ENTRIES_MAX + 10 {
            live.remember(live.ask(), session(), None);
        }
        assert_eq!(live.entries.lock().len(), ENTRIES_MAX);
        tokio::time::advance(STALE_AFTER).await;
        let id = session();
        live.remember(live.ask(), id, None);
        assert_eq!(live.get(id), Some(None));
        assert_eq!(live.entries.lock().len(), 1);
    }
}
