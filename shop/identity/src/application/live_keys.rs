use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use stanchion::auth::api_key::ApiKeyHash;
use tokio::time::Instant;

use super::api_keys::KeyStanding;

/// How old an answer may be: what another process revokes is refused here after this.
const STALE_AFTER: Duration = Duration::from_secs(1);

/// The most keys that are remembered; beyond that the store is asked each time.
const ENTRIES_MAX: usize = 10_000;

/// What the store said a moment ago about API keys, so that not every request has to ask it.
#[derive(Debug, Default)]
pub(crate) struct LiveKeys {
    entries: Mutex<HashMap<ApiKeyHash, Entry>>,
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
    /// `None`: there is no such key, it has ended, or its user is not active.
    standing: Option<KeyStanding>,
    asked_at: Instant,
}

impl LiveKeys {
    /// What is known of a key, if that is fresh.
    pub(crate) fn get(&self, key: &ApiKeyHash) -> Option<Option<KeyStanding>> {
        let entries = self.entries.lock();
        let entry = entries.get(key).filter(|entry| entry.is_fresh())?;
        Some(entry.standing.clone())
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
        key: ApiKeyHash,
        standing: Option<KeyStanding>,
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
            entries.insert(key, Entry { standing, asked_at });
        }
    }

    pub(crate) fn forget(&self, key: &ApiKeyHash) {
        let mut entries = self.entries.lock();
        self.revocations.fetch_add(1, Ordering::AcqRel);
        entries.remove(key);
    }
}

impl Entry {
    fn is_fresh(&self) -> bool {
        self.asked_at.elapsed() < STALE_AFTER
    }
}

#[cfg(test)]
mod tests {
    use stanchion::auth::api_key::ApiKey;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_for_a_second_from_when_it_was_asked_for() {
        let (live, key) = (LiveKeys::default(), ApiKey::generate().hash());
        let question = live.ask();
        tokio::time::advance(Duration::from_millis(400)).await;
        live.remember(question, key, None);
        tokio::time::advance(Duration::from_millis(599)).await;
        assert_eq!(live.get(&key), Some(None));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(live.get(&key), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_from_before_a_revocation_is_not_remembered() {
        let (live, key) = (LiveKeys::default(), ApiKey::generate().hash());
        let question = live.ask();
        live.forget(&key);
        live.remember(question, key, None);
        assert_eq!(live.get(&key), None);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_keys_are_remembered_than_the_bound() {
        let live = LiveKeys::default();
        for nth in 0..ENTRIES_MAX as u64 + 10 {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&nth.to_be_bytes());
            live.remember(live.ask(), hash.into(), None);
        }
        assert_eq!(live.entries.lock().len(), ENTRIES_MAX);
    }
}
