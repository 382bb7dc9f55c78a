//! Sessions that have ended while tokens of theirs may still live.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use stanchion::auth::token::{ACCESS_TTL_MAX, LEEWAY};
use tokio::time::Instant;

use crate::domain::SessionId;

/// No token that was issued before its session ended lives longer.
const TOKEN_LIFE_MAX: Duration = ACCESS_TTL_MAX
    .unsigned_abs()
    .saturating_add(LEEWAY.unsigned_abs());

/// The most that are remembered.
const ENDED_MAX: usize = 100_000;

/// What must not be forgotten: while identity is out, a session that nobody remembers counts as live.
#[derive(Debug, Default)]
pub(super) struct Ended(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    sessions: HashMap<SessionId, Instant>,
    /// When there was no room for one at last.
    missed: Option<Instant>,
}

impl Ended {
    /// What identity says of a session; one whose user is active again has not ended.
    pub(super) fn note(&self, session: SessionId, has_ended: bool) {
        let mut known = self.0.lock();
        if has_ended {
            known.add(session);
        } else {
            known.sessions.remove(&session);
        }
    }

    pub(super) fn has(&self, session: SessionId) -> bool {
        self.0.lock().sessions.contains_key(&session)
    }

    /// Whether all are remembered whose tokens may live.
    pub(super) fn is_whole(&self) -> bool {
        let missed = self.0.lock().missed;
        missed.is_none_or(|at| at.elapsed() >= TOKEN_LIFE_MAX)
    }
}

impl Known {
    fn add(&mut self, session: SessionId) {
        let full = self.sessions.len() >= ENDED_MAX;
        if full && !self.sessions.contains_key(&session) {
            self.sessions
                .retain(|_, noted| noted.elapsed() < TOKEN_LIFE_MAX);
        }
        if self.sessions.len() < ENDED_MAX || self.sessions.contains_key(&session) {
            self.sessions.insert(session, Instant::now());
        } else {
            self.missed = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use stanchion::runtime::id;

    use super::*;

    fn session() -> SessionId {
        SessionId(id::new_v7())
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_is_remembered_until_it_is_taken_back() {
        let (ended, one) = (Ended::default(), session());
        ended.note(one, true);
        tokio::time::advance(TOKEN_LIFE_MAX / 2).await;
        assert!(ended.has(one) && !ended.has(session()));
        ended.note(one, false);
        assert!(!ended.has(one));
    }

    #[tokio::test(start_paused = true)]
    async fn when_full_the_living_stay_and_it_is_known_that_one_is_missing() {
        let (ended, first) = (Ended::default(), session());
        ended.note(first, true);
        for _ in 1..ENDED_MAX {
            ended.note(session(), true);
        }
        assert!(ended.is_whole());
        let late = session();
        ended.note(late, true);
        assert!(ended.has(first) && !ended.has(late) && !ended.is_whole());
        tokio::time::advance(TOKEN_LIFE_MAX).await;
        ended.note(late, true);
        assert!(ended.has(late) && !ended.has(first) && ended.is_whole());
    }
}
