//! What the cache and its remote tier owe each other.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::{Inner, detached};
use crate::key::{CacheKey, remote_text};
use crate::owed::Debt;
use crate::remote::Change;

/// How often debts are tried again.
const OWED_AGAIN: Duration = Duration::from_millis(200);

/// Debts a turn.
const OWED_TURN: usize = 100;

impl<K, V> Inner<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Hears what others change, and pays debts, as long as the cache is there.
    pub(super) fn tended(self: &Arc<Self>) {
        let settings = &self.settings;
        let count = |number: u32| i64::from(number);
        self.metrics.entries_max.set(count(settings.entries_max));
        self.metrics.owed_max.set(count(settings.owed_max));
        let Some(remote) = &self.remote else {
            return;
        };
        self.metrics.blind.set(1);
        let cache = Arc::downgrade(self);
        remote.watch(Box::new(move |change| {
            if let Some(cache) = cache.upgrade() {
                cache.hears(change);
            }
        }));
        drop(detached("cache debts", pay(Arc::downgrade(self))));
    }

    fn hears(&self, change: Change<'_>) {
        match change {
            Change::Key(text) => {
                // Another's is not one of those that this process keeps.
                if let Some(key) = K::parse(text) {
                    self.local.forget(&key);
                }
            }
            Change::Blind => {
                self.is_blind.store(true, Ordering::SeqCst);
                self.metrics.blind.set(1);
                // What it told before may be incomplete.
                self.local.clear();
            }
            Change::Seeing => {
                // What was loaded while nothing was heard may be old: loads under way are not kept either.
                self.local.clear();
                self.is_blind.store(false, Ordering::SeqCst);
                self.metrics.blind.set(0);
            }
        }
    }

    /// An invalidation that the remote tier is to be told. From here on no lookup of ours asks it for the key, so that
    /// what is forgotten next does not come back from there. `None` without such a tier.
    pub(super) fn owe(&self, key: &K, version: u64) -> Option<Owing> {
        self.remote.as_ref()?;
        let (text, _) = remote_text(key);
        let kept_for = self.settings.ttl.mul_f64(1.1) + self.settings.stale_max;
        let debt = self.owed.owe(&text, version, kept_for);
        Some(Owing {
            text,
            version,
            debt,
        })
    }

    /// Tells the remote tier, or leaves the debt.
    pub(super) async fn tell(&self, owing: Option<Owing>) {
        let (Some(remote), Some(owing)) = (&self.remote, owing) else {
            return;
        };
        let told = remote.forget(&owing.text, owing.version, self.guard());
        if told.await.is_ok() {
            if let Some(debt) = owing.debt {
                self.owed.paid(&owing.text, debt);
            }
            return;
        }
        self.metrics.bypassed.inc();
        if owing.debt.is_none() {
            self.metrics.lost.inc();
            let cache = &self.name;
            tracing::warn!(%cache, "an invalidation is lost on the remote tier: too many are owed to it");
        }
    }

    /// Writes the present state into the gauges.
    pub(super) fn observe(&self) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.entries.set(count(self.local.len()));
        self.metrics.owed.set(count(self.owed.len()));
    }
}

/// An invalidation on its way to the remote tier.
pub(super) struct Owing {
    text: String,
    version: u64,
    debt: Option<Debt>,
}

/// Pays what is owed, until the cache is gone.
async fn pay<K, V>(cache: Weak<Inner<K, V>>)
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    loop {
        sleep(OWED_AGAIN).await;
        let Some(cache) = cache.upgrade() else {
            return;
        };
        let Some(remote) = cache.remote.clone() else {
            return;
        };
        for (text, debt) in cache.owed.some(OWED_TURN) {
            // The first that fails: the others would, too.
            let told = remote.forget(&text, debt.version, cache.guard()).await;
            if told.is_err() {
                break;
            }
            cache.owed.paid(&text, debt);
        }
    }
}
