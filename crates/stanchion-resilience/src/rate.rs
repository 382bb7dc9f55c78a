//! Rate limit: how much each key may do, by GCRA.
//!
//! The *generic cell rate algorithm* (ITU-T I.371) keeps one number a key, its theoretical arrival time `TAT`. With
//! `T = 1 / rate` and `τ = burst · T`, a call of cost `c` passes while `max(now, TAT) + c · T ≤ now + τ`, and moves
//! `TAT` there; the wait until it would pass is what is missing. No timer and no background task.
//!
//! Memory is bounded: an entry whose `TAT` has passed says nothing and is dropped when room is needed. Keys for
//! which there is no room then share one limit, so that a flood of invented keys limits itself and nobody known.
//! (Which keys of a full table these are depends on the process's hash seed; all else is the same in each run.)

mod layer;
mod limit;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::Mutex;

pub use layer::{KeyedRateLayer, KeyedRated};
pub use limit::KeyLimit;

use crate::atomic::{Cell, taken};
use crate::guard::{Guard, GuardLayer};
use crate::moment::nanos;
use crate::{Failure, Moment, Refusal};

stanchion_config::settings! {
    /// How much each key may do.
    pub struct RateSettings {
        /// Calls a second, of cost 1.
        #[range(0.0001..=1000000.0)]
        pub per_second: f64 = 100.0,
        /// Calls at once after a pause.
        #[range(1..=1000000)]
        pub burst: u32 = 100,
        /// Keys remembered; more share one limit.
        #[range(1..=100000000)]
        pub keys_max: usize = 100000,
    }
}

/// Rate and burst as spans of time.
#[derive(Debug, Clone, Copy)]
struct Quota {
    /// What a call of cost 1 takes.
    call: u64,
    room: u64,
}

/// One limit; clones share it.
///
/// ```
/// use std::time::Duration;
/// use stanchion_resilience::{Moment, rate::{Rate, RateSettings}};
///
/// let rate = Rate::new(&RateSettings { per_second: 10.0, burst: 2, ..Default::default() });
/// let now = Moment::START;
/// assert!(rate.check(now, 2).is_ok());
/// let refused = rate.check(now, 1).unwrap_err();
/// assert_eq!(refused.retry_after(), Some(Duration::from_millis(100)));
/// ```
#[derive(Debug, Clone)]
pub struct Rate {
    cell: Arc<Cell>,
    quota: Quota,
}

/// A limit for each key; clones share them. Keys are hashed with a seed of the process, so that nobody can aim.
#[derive(Debug)]
pub struct KeyedRate<K> {
    shared: Arc<Shared<K>>,
    quota: Quota,
}

#[derive(Debug)]
struct Shared<K> {
    hasher: DefaultHashBuilder,
    shards: Box<[Shard<K>]>,
    keys_max_shard: usize,
    others: Cell,
}

/// Alone on its cache lines: two threads with two keys seldom meet.
#[derive(Debug)]
#[repr(align(128))]
struct Shard<K>(Mutex<Entries<K>>);

#[derive(Debug)]
struct Entries<K> {
    table: HashTable<(K, u64)>,
    /// Before this moment another look for droppable entries finds too little to be worth it.
    swept_until: u64,
}

const SHARDS: usize = 64;

impl Quota {
    fn new(settings: &RateSettings) -> Self {
        let call = nanos(Duration::from_secs_f64(
            1.0 / settings.per_second.max(0.0001),
        ))
        .max(1);
        Quota {
            call,
            room: call.saturating_mul(u64::from(settings.burst.max(1))),
        }
    }

    fn cost(self, cost: u32) -> u64 {
        self.call.saturating_mul(u64::from(cost))
    }
}

impl Rate {
    /// A limit with its whole burst.
    #[must_use]
    pub fn new(settings: &RateSettings) -> Self {
        Rate {
            cell: Arc::new(Cell::new(0)),
            quota: Quota::new(settings),
        }
    }

    /// Takes `cost` calls out at `now`. A cost above the burst never passes.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] with the wait until it would.
    pub fn check(&self, now: Moment, cost: u32) -> Result<(), Refusal> {
        let taken = self
            .cell
            .take(now.as_nanos(), self.quota.cost(cost), self.quota.room);
        taken.map_err(limited)
    }

    /// Runs `call`, of cost 1, if the rate allows it.
    ///
    /// # Errors
    /// Refused as [`check`](Self::check) does, else what `call` gave.
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure<E>> {
        self.check(Moment::now(), 1)?;
        call.await.map_err(Failure::Remote)
    }

    /// How many calls would pass at `now`.
    #[must_use]
    pub fn left(&self, now: Moment) -> u64 {
        self.cell.holds(now.as_nanos(), self.quota.room) / self.quota.call
    }

    /// A tower layer over this very limit; each request costs 1.
    #[must_use]
    pub fn layer(&self) -> GuardLayer<Self> {
        GuardLayer(self.clone())
    }
}

impl Guard for Rate {
    async fn guard<T: Send, E: Send>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, Failure<E>> {
        self.call(call).await
    }
}

impl<K: Hash + Eq> KeyedRate<K> {
    /// Limits with their whole burst, for keys to come.
    #[must_use]
    pub fn new(settings: &RateSettings) -> Self {
        let shard = |_| {
            Shard(Mutex::new(Entries {
                table: HashTable::new(),
                swept_until: 0,
            }))
        };
        let shards = SHARDS.min(settings.keys_max.next_power_of_two());
        KeyedRate {
            shared: Arc::new(Shared {
                hasher: DefaultHashBuilder::default(),
                shards: (0..shards).map(shard).collect(),
                keys_max_shard: settings.keys_max.div_ceil(shards),
                others: Cell::new(0),
            }),
            quota: Quota::new(settings),
        }
    }

    /// Takes `cost` calls of `key` out at `now`. A cost above the burst never passes.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] with the wait until it would.
    pub fn check<Q>(&self, key: &Q, now: Moment, cost: u32) -> Result<(), Refusal>
    where
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        K: std::borrow::Borrow<Q>,
    {
        let hash = self.shared.hasher.hash_one(key);
        let (now, cost, room) = (now.as_nanos(), self.quota.cost(cost), self.quota.room);
        let mut entries = self.shared.shard(hash).0.lock();
        if let Some((_, arrival)) = entries
            .table
            .find_mut(hash, |(known, _)| known.borrow() == key)
        {
            *arrival = taken(*arrival, now, cost, room).map_err(limited)?;
            return Ok(());
        }
        if !self.shared.has_room(&mut entries, now) {
            drop(entries);
            return self.shared.others.take(now, cost, room).map_err(limited);
        }
        let arrival = taken(0, now, cost, room).map_err(limited)?;
        let rehash = |(known, _): &(K, u64)| self.shared.hasher.hash_one(known);
        entries
            .table
            .insert_unique(hash, (key.to_owned(), arrival), rehash);
        Ok(())
    }

    /// Gives `cost` calls of `key` back; what is more than it owes is lost, and so is what a key took that had no room of its
    /// own.
    pub fn give_back<Q>(&self, key: &Q, cost: u32)
    where
        Q: Hash + Eq + ?Sized,
        K: std::borrow::Borrow<Q>,
    {
        let hash = self.shared.hasher.hash_one(key);
        let mut entries = self.shared.shard(hash).0.lock();
        let known = |(known, _): &(K, u64)| known.borrow() == key;
        if let Some((_, arrival)) = entries.table.find_mut(hash, known) {
            // An arrival that has passed says nothing: more than what is owed cannot be had so.
            *arrival = arrival.saturating_sub(self.quota.cost(cost));
        }
    }

    /// Runs `call`, of cost 1, if the rate of `key` allows it.
    ///
    /// # Errors
    /// Refused as [`check`](Self::check) does, else what `call` gave.
    pub async fn call<Q, T, E>(
        &self,
        key: &Q,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure<E>>
    where
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        K: std::borrow::Borrow<Q>,
    {
        self.check(key, Moment::now(), 1)?;
        call.await.map_err(Failure::Remote)
    }

    /// A tower layer over these very limits; `of` tells a request's key and cost.
    pub fn layer<R, Of: Fn(&R) -> (K, u32)>(&self, of: Of) -> KeyedRateLayer<K, Of> {
        KeyedRateLayer::new(self.clone(), of)
    }

    /// Rate, burst and the keys that can be remembered.
    #[must_use]
    pub fn settings(&self) -> RateSettings {
        let per_second = 1e9 / self.quota.call as f64;
        RateSettings {
            per_second,
            burst: u32::try_from(self.quota.room / self.quota.call).unwrap_or(u32::MAX),
            keys_max: self.keys_max(),
        }
    }

    /// Keys that can be remembered: those of the settings, rounded up to whole shards.
    #[must_use]
    pub fn keys_max(&self) -> usize {
        self.shared.keys_max_shard * self.shared.shards.len()
    }

    /// Keys remembered at present.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.shared
            .shards
            .iter()
            .map(|shard| shard.0.lock().table.len())
            .sum()
    }
}

// Not derived: a key need not be `Clone` for the limits to be shared.
impl<K> Clone for KeyedRate<K> {
    fn clone(&self) -> Self {
        KeyedRate {
            shared: self.shared.clone(),
            quota: self.quota,
        }
    }
}

impl<K> Shared<K> {
    fn shard(&self, hash: u64) -> &Shard<K> {
        // The table takes the low bits for its buckets and the top seven for its tags.
        &self.shards[(hash >> 40) as usize & (self.shards.len() - 1)]
    }

    /// Whether a key can be added, after dropping those that say nothing any more.
    fn has_room(&self, entries: &mut Entries<K>, now: u64) -> bool {
        if entries.table.len() < self.keys_max_shard {
            return true;
        }
        if now < entries.swept_until {
            return false;
        }
        let mut next = u64::MAX;
        entries.table.retain(|(_, arrival)| {
            let is_used = *arrival > now;
            if is_used {
                next = next.min(*arrival);
            }
            is_used
        });
        let has_room = entries.table.len() < self.keys_max_shard;
        // A full table is looked through once for each key that leaves it, not once a call.
        entries.swept_until = if has_room { 0 } else { next };
        has_room
    }
}

fn limited(wait: u64) -> Refusal {
    Refusal::RateLimited {
        retry_after: Duration::from_nanos(wait),
    }
}
