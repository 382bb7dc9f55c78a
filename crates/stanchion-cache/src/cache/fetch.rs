//! What a lookup does that this process cannot answer.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stanchion_resilience::Moment;
use tokio::time::timeout;

use super::{Inner, LoadFailed, REFRESHES_MAX, detached};
use crate::entry::{Loaded, Slot, Worth};
use crate::key::{CacheKey, remote_text};
use crate::local::Epoch;
use crate::remote::{Kept, Out, Put, Remote, Stamp};

/// How much two ends of one entry may differ by what the ways took.
const SAME_END: Duration = Duration::from_millis(50);

/// Beyond its own time a version is remembered so long: what a load takes beyond its timeout.
const GUARD_MORE: Duration = Duration::from_secs(5);

/// How much expiry is spread.
const TTL_SPREAD: f64 = 0.1;

/// A key on its way.
struct Asked<K> {
    key: K,
    /// As the remote tier knows it.
    text: String,
    /// Whether this process keeps it.
    is_local: bool,
    epoch: Epoch,
}

impl<K> Asked<K>
where
    K: CacheKey,
{
    fn new(key: K, epoch: Epoch) -> Self {
        let (text, is_local) = remote_text(&key);
        Asked {
            key,
            text,
            is_local,
            epoch,
        }
    }
}

impl<K, V> Inner<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// From the remote tier, or loaded.
    pub(super) async fn fetch<F, L, E>(
        self: Arc<Self>,
        key: K,
        epoch: Epoch,
        load: F,
    ) -> Result<Option<Arc<V>>, LoadFailed>
    where
        F: FnOnce() -> L + Send + 'static,
        L: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
    {
        let asked = Asked::new(key, epoch);
        let (began, found) = self.ask(&asked.text).await;
        if let Some(slot) = found.clone() {
            let worth = slot.worth(Moment::now(), || self.dice.share());
            if matches!(worth, Worth::Fresh | Worth::Early) {
                self.metrics.remote.inc();
                if worth == Worth::Early {
                    self.refresh_behind(&asked.key, None, load);
                }
                self.keep_here(&asked, slot.clone());
                return Ok(slot.value);
            }
        }
        match self.load(load).await {
            Ok((loaded, cost)) => {
                self.metrics.loaded.inc();
                Ok(self.keep(&asked, loaded, cost, began).await)
            }
            Err(failed) => self.stale(&asked.key, found, failed),
        }
    }

    /// Loads it again while it is still given; not twice at a time. `end`: of the entry that is about to end, unless the
    /// remote tier has a later one by now.
    pub(super) fn refresh_behind<F, L, E>(self: &Arc<Self>, key: &K, end: Option<Moment>, load: F)
    where
        F: FnOnce() -> L + Send + 'static,
        L: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
    {
        if !self.settings.refresh_on {
            return;
        }
        {
            let mut refreshing = self.refreshing.lock();
            if refreshing.len() >= REFRESHES_MAX || !refreshing.insert(key.clone()) {
                return;
            }
        }
        let refreshing = Refreshing {
            inner: Arc::clone(self),
            key: key.clone(),
        };
        drop(detached("cache refresh", async move {
            refreshing.inner.refresh(&refreshing.key, end, load).await;
        }));
    }

    async fn refresh<F, L, E>(&self, key: &K, end: Option<Moment>, load: F)
    where
        F: FnOnce() -> L + Send + 'static,
        L: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
    {
        let asked = Asked::new(key.clone(), self.local.epoch(key));
        let (began, found) = self.ask(&asked.text).await;
        let later = found.filter(|slot| end.is_some_and(|end| slot.fresh_until > end + SAME_END));
        if let Some(slot) = later {
            self.keep_here(&asked, slot);
            return;
        }
        self.metrics.refreshes.inc();
        // It failed: the entry is given until its end, and a later reader tries again.
        match self.load(load).await {
            Ok((loaded, cost)) => drop(self.keep(&asked, loaded, cost, began).await),
            Err(error) => tracing::debug!(cache = self.name, %error, "an early refresh failed"),
        }
    }

    /// What the remote tier has, and when that was.
    async fn ask(&self, text: &str) -> (Option<Stamp>, Option<Slot<V>>) {
        let Some(remote) = self.remote_for(text) else {
            return (None, None);
        };
        match remote.get(text).await {
            Ok(found) => {
                let slot = found.kept.and_then(|kept| self.opened(kept));
                (Some(found.at), slot)
            }
            Err(Out) => {
                self.metrics.bypassed.inc();
                (None, None)
            }
        }
    }

    /// The remote tier, unless it may have what we know to be old.
    fn remote_for(&self, text: &str) -> Option<&Arc<dyn Remote>> {
        let remote = self.remote.as_ref();
        remote.filter(|_| !self.owed.has(text))
    }

    fn opened(&self, kept: Kept) -> Option<Slot<V>> {
        if kept.schema != self.schema {
            return None;
        }
        let value = match &kept.body {
            None => None,
            Some(body) => match serde_json::from_slice(body) {
                Ok(value) => Some(Arc::new(value)),
                Err(error) => {
                    let cache = &self.name;
                    tracing::warn!(%cache, %error, "an entry of the remote tier is not of our shape; raise the schema when it changes");
                    return None;
                }
            },
        };
        let now = Moment::now();
        Some(Slot {
            value,
            version: kept.version,
            fresh_until: now + kept.fresh_for,
            kept_until: now + kept.kept_for,
            guarded_until: now + kept.fresh_for,
            cost: kept.cost,
            is_guard: false,
        })
    }

    async fn load<F, L, E>(&self, load: F) -> Result<(Loaded<V>, Duration), LoadFailed>
    where
        F: FnOnce() -> L,
        L: Future<Output = Result<Loaded<V>, E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let longest = self.settings.load_timeout;
        let begun = Moment::now();
        match timeout(longest, load()).await {
            Ok(Ok(loaded)) => Ok((loaded, Moment::now().since(begun))),
            Ok(Err(error)) => Err(LoadFailed::Failed(error.into().into())),
            Err(_elapsed) => Err(LoadFailed::TimedOut(longest)),
        }
    }

    async fn keep(
        &self,
        asked: &Asked<K>,
        loaded: Loaded<V>,
        cost: Duration,
        began: Option<Stamp>,
    ) -> Option<Arc<V>> {
        let Loaded { value, version } = loaded;
        let value = value.map(Arc::new);
        let (ttl, more) = match &value {
            Some(_) => (self.settings.ttl, self.settings.stale_max),
            None => (self.settings.absent_ttl, Duration::ZERO),
        };
        if ttl.is_zero() {
            return value;
        }
        let fresh_for = self.dice.around(ttl, TTL_SPREAD);
        let kept_for = fresh_for + more;
        let now = Moment::now();
        let slot = Slot {
            value: value.clone(),
            version,
            fresh_until: now + fresh_for,
            kept_until: now + kept_for,
            guarded_until: now + fresh_for,
            cost,
            is_guard: false,
        };
        // First for all, and here only what counts there.
        let there = self
            .keep_there(asked, &slot, fresh_for, kept_for, began)
            .await;
        let is_kept = match there {
            None => self.keep_here(asked, slot),
            Some(is_there) => {
                if is_there {
                    // Told of our own entry as of a change before this, we have it there alone, and it is kept.
                    self.keep_here(asked, slot);
                }
                is_there
            }
        };
        if !is_kept {
            self.metrics.outdated.inc();
        }
        value
    }

    /// Whether the remote tier has it now; `None` if it was not asked, or has not answered.
    async fn keep_there(
        &self,
        asked: &Asked<K>,
        slot: &Slot<V>,
        fresh_for: Duration,
        kept_for: Duration,
        began: Option<Stamp>,
    ) -> Option<bool> {
        let (began, remote) = (began?, self.remote_for(&asked.text)?);
        let Ok(body) = slot.value.as_deref().map(serde_json::to_vec).transpose() else {
            tracing::warn!(
                cache = self.name,
                "a value has no JSON and stays in this process"
            );
            return None;
        };
        let bytes = body.as_ref().map_or(0, Vec::len) as u64;
        if bytes > self.settings.value_bytes_max.0 {
            return None;
        }
        let entry = Kept {
            body,
            version: slot.version,
            schema: self.schema,
            fresh_for,
            kept_for,
            cost: slot.cost,
        };
        let guard = self.guard();
        let put = Put {
            entry,
            began,
            guard,
        };
        let told = remote.put(&asked.text, put).await;
        if told.is_err() {
            self.metrics.bypassed.inc();
        }
        told.ok()
    }

    /// No longer than this process may go without asking; whether nothing newer, and no word of a change, was against it.
    fn keep_here(&self, asked: &Asked<K>, mut slot: Slot<V>) -> bool {
        if !asked.is_local {
            return true;
        }
        let now = Moment::now();
        if self.remote.is_some() {
            let longest = if self.is_blind.load(Ordering::SeqCst) {
                self.settings.blind_ttl
            } else {
                self.settings.local_ttl
            };
            slot.fresh_until = slot.fresh_until.min(now + longest);
        }
        self.local.put(asked.key.clone(), slot, asked.epoch, now)
    }

    /// An entry beyond its time, here or there, instead of the failure.
    fn stale(
        &self,
        key: &K,
        found: Option<Slot<V>>,
        failed: LoadFailed,
    ) -> Result<Option<Arc<V>>, LoadFailed> {
        let now = Moment::now();
        let known = [self.local.get(key), found].into_iter().flatten();
        let best = known.filter(|slot| now < slot.kept_until);
        if let Some(slot) = best.max_by_key(|slot| (slot.version, slot.kept_until)) {
            self.metrics.stale.inc();
            tracing::debug!(cache = self.name, error = %failed, "loading failed; the entry before is given");
            return Ok(slot.value);
        }
        self.metrics.failed.inc();
        Err(failed)
    }

    /// How long versions and invalidations are remembered: no load that began before is still under way then.
    pub(super) fn guard(&self) -> Duration {
        self.settings.load_timeout + GUARD_MORE
    }
}

/// Takes its key off the list, however the refresh ends.
struct Refreshing<K: CacheKey, V> {
    inner: Arc<Inner<K, V>>,
    key: K,
}

impl<K: CacheKey, V> Drop for Refreshing<K, V> {
    fn drop(&mut self) {
        self.inner.refreshing.lock().remove(&self.key);
    }
}
