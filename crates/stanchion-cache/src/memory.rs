//! The remote tier's double for tests: shared by caches of one process.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use stanchion_resilience::Moment;

use crate::remote::{Change, Found, Kept, Out, Put, Remote, Stamp};

type Told = Box<dyn Fn(Change<'_>) + Send + Sync>;

/// A remote tier within the process, for tests: it keeps the promises of [`Remote`], and can be taken away.
///
/// Clones are the same tier. It is not bounded.
#[derive(Clone, Default)]
pub struct MemoryRemote {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    keys: Mutex<HashMap<String, Row>>,
    told: RwLock<Vec<Told>>,
    is_out: AtomicBool,
    /// Its clock: counts what it was asked.
    asked: AtomicU64,
}

#[derive(Debug, Clone)]
struct Row {
    version: u64,
    /// Until then no lower version replaces it.
    guarded_until: Moment,
    forgotten: u64,
    kept: Option<(Kept, Moment)>,
    ends: Moment,
}

impl MemoryRemote {
    /// Takes it away, and gives it back with all that it had.
    pub fn set_out(&self, is_out: bool) {
        self.shared.is_out.store(is_out, Ordering::SeqCst);
        let change = if is_out {
            Change::Blind
        } else {
            Change::Seeing
        };
        self.tell(change);
    }

    fn tell(&self, change: Change<'_>) {
        for told in self.shared.told.read().iter() {
            told(change);
        }
    }

    async fn reached(&self) -> Result<u64, Out> {
        // As over a network: others come in between.
        tokio::task::yield_now().await;
        if self.shared.is_out.load(Ordering::SeqCst) {
            return Err(Out);
        }
        Ok(self.shared.asked.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// Of a row that has not ended.
    fn row(keys: &HashMap<String, Row>, key: &str) -> Option<Row> {
        let row = keys.get(key)?;
        (row.ends > Moment::now()).then(|| row.clone())
    }
}

#[async_trait]
impl Remote for MemoryRemote {
    async fn get(&self, key: &str) -> Result<Found, Out> {
        let at = Stamp(self.reached().await?);
        let row = Self::row(&self.shared.keys.lock(), key);
        let kept = row.and_then(|row| row.kept).map(|(kept, put)| {
            let age = Moment::now().since(put);
            Kept {
                fresh_for: kept.fresh_for.saturating_sub(age),
                kept_for: kept.kept_for.saturating_sub(age),
                ..kept
            }
        });
        Ok(Found { at, kept })
    }

    async fn put(&self, key: &str, put: Put) -> Result<bool, Out> {
        self.reached().await?;
        let now = Moment::now();
        {
            let mut keys = self.shared.keys.lock();
            let row = Self::row(&keys, key);
            let forgotten = row.as_ref().map_or(0, |row| row.forgotten);
            let is_newer = |row: &Row| row.version > put.entry.version && now < row.guarded_until;
            if forgotten >= put.began.0 || row.as_ref().is_some_and(is_newer) {
                return Ok(false);
            }
            // What only guards a version guards it to its end.
            let guard = row.filter(|row| row.kept.is_none());
            let fresh_until = now + put.entry.fresh_for;
            let row = Row {
                version: put.entry.version,
                guarded_until: guard.map_or(fresh_until, |it| it.guarded_until.max(fresh_until)),
                forgotten,
                ends: now + put.entry.kept_for.max(put.guard),
                kept: Some((put.entry, now)),
            };
            keys.insert(key.to_owned(), row);
        }
        self.tell(Change::Key(key));
        Ok(true)
    }

    async fn forget(&self, key: &str, version: u64, guard: Duration) -> Result<(), Out> {
        let forgotten = self.reached().await?;
        let ends = Moment::now() + guard;
        let row = Row {
            version,
            guarded_until: ends,
            forgotten,
            kept: None,
            ends,
        };
        self.shared.keys.lock().insert(key.to_owned(), row);
        self.tell(Change::Key(key));
        Ok(())
    }

    fn watch(&self, told: Told) {
        let is_out = self.shared.is_out.load(Ordering::SeqCst);
        if !is_out {
            told(Change::Seeing);
        }
        self.shared.told.write().push(told);
    }
}

impl std::fmt::Debug for MemoryRemote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryRemote").finish_non_exhaustive()
    }
}
