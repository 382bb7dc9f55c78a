//! One execution at a time per id, and the last state of each as a hint.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::MutexGuard;
use tokio::time::Instant;

use crate::repository::Loaded;

/// The most ids remembered; the rest is loaded from the stream's start.
const SLOTS_MAX: usize = 4_096;

/// The most executions that wait for one id.
const WAITING_MAX: usize = 1_024;

/// Too many wait for this id.
pub(crate) struct Busy;

pub(crate) struct Slots<A> {
    slots: Mutex<HashMap<String, Arc<Slot<A>>>>,
    /// How long a remembered state may be used; for ever if `None`.
    age_max: Option<Duration>,
}

impl<A> Default for Slots<A> {
    fn default() -> Self {
        Self {
            slots: Mutex::new(HashMap::new()),
            age_max: None,
        }
    }
}

impl<A> Slots<A> {
    /// Slots whose states are forgotten when they are that old.
    pub(crate) fn aging(age_max: Duration) -> Self {
        Self {
            age_max: Some(age_max),
            ..Self::default()
        }
    }
}

impl<A: Clone> Slots<A> {
    pub(crate) fn slot(&self, id: &str) -> Arc<Slot<A>> {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.get(id) {
            return Arc::clone(slot);
        }
        if slots.len() >= SLOTS_MAX {
            drop_unused_half(&mut slots);
        }
        let slot = Arc::new(Slot::default());
        slots.insert(id.to_owned(), Arc::clone(&slot));
        slot
    }

    pub(crate) fn hint(&self, id: &str) -> Option<Loaded<A>> {
        let slot = self.slots.lock().get(id).cloned();
        slot.and_then(|slot| slot.hint(self.age_max))
    }

    /// Forgets what was remembered of an id.
    pub(crate) fn forget(&self, id: &str) {
        let slot = self.slots.lock().get(id).cloned();
        if let Some(slot) = slot {
            slot.forget();
        }
    }

    /// Forgets what was remembered of every id.
    pub(crate) fn forget_all(&self) {
        let slots: Vec<_> = self.slots.lock().values().cloned().collect();
        for slot in slots {
            slot.forget();
        }
    }

    /// Remembers a state for an id that is in use already; reading alone makes no slot.
    pub(crate) fn remember(&self, id: &str, loaded: &Loaded<A>) {
        let slot = self.slots.lock().get(id).cloned();
        if let Some(slot) = slot {
            slot.remember(loaded);
        }
    }
}

/// Which ones go is arbitrary: a hint that is gone costs a longer read, nothing else.
fn drop_unused_half<A>(slots: &mut HashMap<String, Arc<Slot<A>>>) {
    let unused = slots
        .iter()
        .filter(|(_, slot)| Arc::strong_count(slot) == 1);
    let unused: Vec<String> = unused
        .map(|(id, _)| id.clone())
        .take(SLOTS_MAX / 2)
        .collect();
    for id in unused {
        slots.remove(&id);
    }
}

pub(crate) struct Slot<A> {
    turn: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
    last: Mutex<Option<Remembered<A>>>,
}

struct Remembered<A> {
    loaded: Loaded<A>,
    since: Instant,
}

impl<A> Default for Slot<A> {
    fn default() -> Self {
        Self {
            turn: tokio::sync::Mutex::new(()),
            waiting: AtomicUsize::new(0),
            last: Mutex::new(None),
        }
    }
}

impl<A: Clone> Slot<A> {
    pub(crate) async fn turn(&self) -> Result<MutexGuard<'_, ()>, Busy> {
        let _waiting = Waiting::enter(&self.waiting)?;
        Ok(self.turn.lock().await)
    }

    fn hint(&self, age_max: Option<Duration>) -> Option<Loaded<A>> {
        let mut last = self.last.lock();
        if last
            .as_ref()
            .is_some_and(|known| age_max.is_some_and(|age_max| known.since.elapsed() > age_max))
        {
            *last = None;
        }
        last.as_ref().map(|known| known.loaded.clone())
    }

    /// Forgets what was remembered; the stream is read from its start.
    pub(crate) fn forget(&self) {
        *self.last.lock() = None;
    }

    /// Keeps the newer of what is known and what was seen.
    pub(crate) fn remember(&self, loaded: &Loaded<A>) {
        let mut last = self.last.lock();
        if last
            .as_ref()
            .is_none_or(|known| known.loaded.version < loaded.version)
        {
            // A newer state is made of the older one, with the personal values that were opened for it: they age on.
            let since = last.as_ref().map_or_else(Instant::now, |known| known.since);
            *last = Some(Remembered {
                loaded: loaded.clone(),
                since,
            });
        }
    }
}

/// Counts a waiting execution until it is dropped, also by a caller that went away.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize) -> Result<Self, Busy> {
        if waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Busy);
        }
        Ok(Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
