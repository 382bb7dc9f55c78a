use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Redrive, RelayState, RelayStore};
use crate::{ConsumerStore, LogId, MemoryConsumerStore, StoreError};

/// A relay's rows in memory, for tests.
#[derive(Default)]
pub struct MemoryRelayStore {
    rows: Mutex<Rows>,
    letters: MemoryConsumerStore,
}

#[derive(Default)]
struct Rows {
    leases: HashMap<String, (i64, Instant)>,
    states: HashMap<(String, LogId), (i64, RelayState)>,
    wishes: Vec<(String, Uuid, Redrive)>,
}

impl MemoryRelayStore {
    /// What is kept for that relay, for a test to look at.
    #[must_use]
    pub fn kept(&self, relay: &str, log: LogId) -> Option<RelayState> {
        let rows = self.rows.lock();
        let kept = rows.states.get(&(relay.to_owned(), log));
        kept.map(|(_, state)| state.clone())
    }
}

#[async_trait]
impl RelayStore for MemoryRelayStore {
    async fn take(&self, relay: &str, ttl: Duration) -> Result<Option<i64>, StoreError> {
        let now = Instant::now();
        let mut rows = self.rows.lock();
        let lease = rows.leases.entry(relay.to_owned()).or_insert((0, now));
        if lease.1 > now {
            return Ok(None);
        }
        *lease = (lease.0 + 1, now + ttl);
        Ok(Some(lease.0))
    }

    async fn renew(&self, relay: &str, token: i64, ttl: Duration) -> Result<bool, StoreError> {
        let now = Instant::now();
        let mut rows = self.rows.lock();
        match rows.leases.get_mut(relay) {
            Some((held, end)) if *held == token && *end > now => {
                *end = now + ttl;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn release(&self, relay: &str, token: i64) -> Result<(), StoreError> {
        let mut rows = self.rows.lock();
        if let Some((held, end)) = rows.leases.get_mut(relay)
            && *held == token
        {
            *end = Instant::now();
        }
        Ok(())
    }

    async fn load(
        &self,
        relay: &str,
        log: LogId,
        token: i64,
    ) -> Result<Option<RelayState>, StoreError> {
        let mut rows = self.rows.lock();
        let kept = rows.states.entry((relay.to_owned(), log));
        let (newest, state) = kept.or_insert_with(|| (token, RelayState::default()));
        if *newest > token {
            return Ok(None);
        }
        *newest = token;
        Ok(Some(state.clone()))
    }

    async fn save(
        &self,
        relay: &str,
        log: LogId,
        token: i64,
        state: &RelayState,
    ) -> Result<bool, StoreError> {
        let mut rows = self.rows.lock();
        match rows.states.get_mut(&(relay.to_owned(), log)) {
            Some((newest, kept)) if *newest == token => {
                kept.clone_from(state);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn letters(&self) -> &dyn ConsumerStore {
        &self.letters
    }

    async fn wish(&self, relay: &str, wish: &Redrive) -> Result<(), StoreError> {
        let id = stanchion_runtime::id::new_v7();
        let mut rows = self.rows.lock();
        rows.wishes.push((relay.to_owned(), id, wish.clone()));
        Ok(())
    }

    async fn wishes(&self, relay: &str) -> Result<Vec<(Uuid, Redrive)>, StoreError> {
        let rows = self.rows.lock();
        let own = rows.wishes.iter().filter(|it| it.0 == relay).take(100);
        Ok(own.map(|(_, id, wish)| (*id, wish.clone())).collect())
    }

    async fn granted(&self, relay: &str, wishes: &[Uuid]) -> Result<(), StoreError> {
        let mut rows = self.rows.lock();
        rows.wishes
            .retain(|it| it.0 != relay || !wishes.contains(&it.1));
        Ok(())
    }
}
