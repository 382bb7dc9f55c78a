//! What has ended while tokens of it may still live: sessions, and clients' own tokens.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use parking_lot::Mutex;
use stanchion::auth::token::{ACCESS_TTL_MAX, LEEWAY};
use tokio::time::Instant;

/// No token that was issued before its session ended lives longer.
const TOKEN_LIFE_MAX: Duration = ACCESS_TTL_MAX
    .unsigned_abs()
    .saturating_add(LEEWAY.unsigned_abs());

/// The most that are remembered.
pub(super) const ENDED_MAX: usize = 100_000;

/// What must not be forgotten: while identity is out, what nobody remembers counts as live.
#[derive(Debug)]
pub(super) struct Ended<K>(Mutex<Known<K>>);

#[derive(Debug)]
struct Known<K> {
    ended: HashMap<K, Instant>,
    /// When there was no room for one at last.
    missed: Option<Instant>,
}

impl<K: Eq + Hash> Ended<K> {
    /// What identity says of it; a session whose user is active again has not ended.
    pub(super) fn note(&self, of: K, has_ended: bool) {
        let mut known = self.0.lock();
        if has_ended {
            known.add(of);
        } else {
            known.ended.remove(&of);
        }
    }

    pub(super) fn has(&self, of: &K) -> bool {
        self.0.lock().ended.contains_key(of)
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().ended.len()
    }

    /// Whether all are remembered whose tokens may live.
    pub(super) fn is_whole(&self) -> bool {
        let missed = self.0.lock().missed;
        missed.is_none_or(|at| at.elapsed() >= TOKEN_LIFE_MAX)
    }
}

impl<K: Eq + Hash> Known<K> {
    fn add(&mut self, of: K) {
        let full = self.ended.len() >= ENDED_MAX;
        if full && !self.ended.contains_key(&of) {
            self.ended
                .retain(|_, noted| noted.elapsed() < TOKEN_LIFE_MAX);
        }
        if self.ended.len() < ENDED_MAX || self.ended.contains_key(&of) {
            self.ended.insert(of, Instant::now());
        } else {
            self.missed = Some(Instant::now());
        }
    }
}

// Not derived: what has ended need have no default.
impl<K> Default for Ended<K> {
    fn default() -> Self {
        Self(Mutex::new(Known {
            ended: HashMap::new(),
            missed: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use stanchion::runtime::id;

    use super::*;
    use crate::domain::SessionId;

    fn session() -> SessionId {
        SessionId(id::new_v7())
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_is_remembered_until_it_is_taken_back() {
        let (ended, one) = (Ended::default(), session());
        ended.note(one, true);
        tokio::time::advance(TOKEN_LIFE_MAX / 2).await;
        assert!(ended.has(&one) && !ended.has(&session()));
        ended.note(one, false);
        assert!(!ended.has(&one));
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
        assert!(ended.has(&first) && !ended.has(&late) && !ended.is_whole());
        tokio::time::advance(TOKEN_LIFE_MAX).await;
        ended.note(late, true);
        assert!(ended.has(&late) && !ended.has(&first) && ended.is_whole());
    }
}
