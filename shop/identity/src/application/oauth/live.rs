use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::{ClientId, RegisteredClient};

/// How old an answer may be: what another process changes counts here after this.
const STALE_AFTER: Duration = Duration::from_secs(1);

/// The most clients that are remembered; beyond that the store is asked each time.
const ENTRIES_MAX: usize = 10_000;

/// What the store said a moment ago about clients, so that not every token asks it.
#[derive(Debug, Default)]
pub(super) struct LiveClients {
    entries: Mutex<HashMap<ClientId, Entry>>,
    /// Goes up with each change: an answer that was on its way meanwhile is not remembered.
    changes: AtomicU64,
}

/// A question to the store, from before it was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    changes: u64,
    asked_at: Instant,
}

#[derive(Debug)]
struct Entry {
    /// `None`: there is no such client.
    client: Option<Arc<RegisteredClient>>,
    asked_at: Instant,
}

impl LiveClients {
    /// What is known of a client, if that is fresh.
    pub(super) fn get(&self, id: ClientId) -> Option<Option<Arc<RegisteredClient>>> {
        let entries = self.entries.lock();
        let entry = entries.get(&id).filter(|entry| entry.is_fresh())?;
        Some(entry.client.clone())
    }

    pub(super) fn ask(&self) -> Question {
        Question {
            changes: self.changes.load(Ordering::Acquire),
            asked_at: Instant::now(),
        }
    }

    pub(super) fn remember(
        &self,
        question: Question,
        id: ClientId,
        client: Option<Arc<RegisteredClient>>,
    ) {
        let mut entries = self.entries.lock();
        if question.changes != self.changes.load(Ordering::Acquire) {
            return;
        }
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, entry| entry.is_fresh());
        }
        if entries.len() < ENTRIES_MAX {
            let asked_at = question.asked_at;
            entries.insert(id, Entry { client, asked_at });
        }
    }

    pub(super) fn forget(&self, id: ClientId) {
        let mut entries = self.entries.lock();
        self.changes.fetch_add(1, Ordering::AcqRel);
        entries.remove(&id);
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

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_for_a_second_unless_the_client_changes() {
        let live = LiveClients::default();
        let (one, other) = (ClientId(id::new_v7()), ClientId(id::new_v7()));
        live.remember(live.ask(), one, None);
        let before = live.ask();
        live.forget(one);
        live.remember(before, other, None);
        assert!(live.get(one).is_none() && live.get(other).is_none());
        live.remember(live.ask(), one, None);
        tokio::time::advance(Duration::from_millis(999)).await;
        assert!(live.get(one).is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(live.get(one).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_clients_are_remembered_than_the_bound() {
        let live = LiveClients::default();
        for _ in 0..ENTRIES_MAX + 10 {
            live.remember(live.ask(), ClientId(id::new_v7()), None);
        }
        assert_eq!(live.entries.lock().len(), ENTRIES_MAX);
    }
}
