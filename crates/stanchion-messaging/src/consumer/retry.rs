//! Trying again what was put aside, the oldest of each key first.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use stanchion_runtime::clock;
use tokio::time::Instant;
use tracing::debug;
use uuid::Uuid;

use super::Consumer;
use crate::Parked;

/// The most rows looked at once beside those under way; the rest stays due.
const DUE_MAX: usize = 64;

/// How often messages of contracts that were unknown are looked for, and what is parked is counted.
const LOOK: Duration = Duration::from_secs(2);

/// How often retries are looked for that are due later than any wait lasts.
const LOOK_BEYOND: Duration = Duration::from_secs(60);

/// So far apart clocks of machines may be.
const SKEW_MAX: Duration = Duration::from_secs(60);

/// How often due retries are looked for.
const POLL: Duration = Duration::from_millis(200);

/// And no sooner than so many times as long as the last look took: where very much waits a look is work for its store.
const LOOK_SHARE: u32 = 4;

/// How soon after a retry ended they are looked for again: a key's later messages wait for it.
const SOON: Duration = Duration::from_millis(5);

/// What is being tried again, each message by itself: one whose handling takes long keeps no other key waiting.
pub(super) struct Retries {
    /// At most so many at the same time.
    max: usize,
    underway: HashSet<Uuid>,
    /// Those that ended since somebody began to look what is due, and may have found them.
    ended: HashSet<Uuid>,
    /// So many were held back at the last look.
    held: usize,
    look_began: Instant,
    looks_at: Instant,
}

/// What came of an attempt.
pub(super) struct Tried {
    pub(super) message: Uuid,
    /// It is dealt with, and this waited behind it.
    next: Option<Parked>,
}

impl Retries {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            underway: HashSet::new(),
            ended: HashSet::new(),
            held: 0,
            look_began: Instant::now(),
            looks_at: Instant::now(),
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.underway.len() < self.max
    }

    /// When to look next what is due.
    pub(super) fn looks_at(&self) -> Instant {
        self.looks_at
    }

    /// How many rows to look at: those under way or held back are still due, and stand before the others.
    pub(super) fn begin_look(&mut self) -> usize {
        self.ended.clear();
        self.look_began = Instant::now();
        DUE_MAX + self.underway.len() + self.held
    }

    /// Of what is due, what to try now, but for what is held back until a later time.
    pub(super) fn begin(
        &mut self,
        due: Vec<Parked>,
        mut held_until: impl FnMut(&Parked) -> Option<Instant>,
    ) -> Vec<Parked> {
        let now = Instant::now();
        let pause = (now - self.look_began).saturating_mul(LOOK_SHARE);
        let (mut held, mut looks_at) = (0, now + pause.clamp(POLL, LOOK));
        let is_free = |parked: &Parked| match held_until(parked) {
            Some(until) => {
                held += 1;
                looks_at = looks_at.min(until.max(now + SOON));
                false
            }
            None => true,
        };
        let room = self.max - self.underway.len();
        // What is due and what has a handler by now are asked for one after the other: a row may be in both.
        let mut taken = HashSet::new();
        let new = due.into_iter().filter(|parked| self.is_new(parked));
        let new = new.filter(|parked| taken.insert(parked.message.id));
        // Last: whom it does not hold back it has counted.
        let new: Vec<Parked> = new.filter(is_free).take(room).collect();
        self.underway.extend(new.iter().map(|it| it.message.id));
        (self.held, self.looks_at) = (held, looks_at);
        new
    }

    /// It is not tried now, nor was since somebody began to look.
    fn is_new(&self, parked: &Parked) -> bool {
        let id = &parked.message.id;
        !self.underway.contains(id) && !self.ended.contains(id)
    }

    /// An attempt has ended: what is tried now in its place, because it waited behind that. To look at all that is due for it
    /// takes longer the more waits.
    pub(super) fn goes_on(
        &mut self,
        tried: Tried,
        held_until: impl FnOnce(&Parked) -> Option<Instant>,
    ) -> Option<Parked> {
        let looks_at = self.looks_at;
        self.tried(tried.message);
        // Half of the room is for who waits for a look.
        let has_room = self.underway.len() < self.max.div_ceil(2);
        let next = tried.next.filter(|next| has_room && self.is_new(next));
        let next = next.filter(|next| held_until(next).is_none())?;
        self.looks_at = looks_at;
        self.underway.insert(next.message.id);
        Some(next)
    }

    /// An attempt at that message has ended, whatever came of it.
    pub(super) fn tried(&mut self, message: Uuid) {
        self.underway.remove(&message);
        self.ended.insert(message);
        self.looks_at = self.looks_at.min(Instant::now() + SOON);
    }
}

impl Consumer {
    /// What is due to be tried again, and now and then what has a handler by now, or is due later than any wait lasts.
    pub(super) async fn look_for_due(
        &self,
        looks: &Looks,
        limit: usize,
    ) -> Result<Vec<Parked>, String> {
        let (now, after) = (clock::now(), self.limits.after_last_attempt);
        let due = self.store.due(self.name, now, after, limit).await;
        let mut due = due.map_err(|error| error.to_string())?;
        if looks.known.is_due() {
            let known: Vec<&str> = self.handlers.keys().copied().collect();
            let known = self.store.unknown(self.name, &known, after, limit).await;
            let known = known.map_err(|error| error.to_string())?;
            if !known.is_empty() {
                looks.known.soon();
            }
            due.extend(known);
            self.show_parked().await?;
        }
        if looks.beyond.is_due() {
            let end = self.longest_wait_from(now);
            let beyond = self.store.due_beyond(self.name, end, after, limit).await;
            let beyond = beyond.map_err(|error| error.to_string())?;
            if !beyond.is_empty() {
                let (consumer, tried) = (self.name, beyond.len());
                debug!(
                    consumer,
                    tried, "retries that a clock put aside which was set back since"
                );
                looks.beyond.soon();
            }
            due.extend(beyond);
        }
        Ok(due)
    }

    /// No retry is due later than this, unless a clock was set back since it was put aside.
    fn longest_wait_from(&self, now: Timestamp) -> Timestamp {
        let limits = &self.limits;
        let longest = limits.backoff_base.max(limits.backoff_max);
        let longest = longest.saturating_add(limits.handler_timeout);
        later(now, longest.saturating_add(SKEW_MAX))
    }

    /// When what begins now is tried again if nobody tells how it ended. Soon, for it may have been the process; but later on not
    /// before its handling must have ended: another member would try it meanwhile, and count what is no attempt, up to a
    /// dead letter of what is only waiting, or of what is being handled. Its row says that it has begun, and nobody can say whether
    /// the process lives in which it has.
    pub(super) fn tried_anew_at(&self, attempts: u32) -> Timestamp {
        let handling = match attempts > self.limits.attempts_max / 2 {
            true => self.limits.handler_timeout,
            false => Duration::ZERO,
        };
        let wait = handling.saturating_add(self.backoff(attempts));
        later(clock::now(), wait)
    }

    /// One attempt.
    pub(super) async fn retry(&self, parked: Parked) -> Result<Tried, String> {
        let id = parked.message.id;
        if !self.handlers.contains_key(parked.message.contract.as_str()) {
            let message = parked.message.clone();
            self.park_unknown(message, Some(&parked)).await?;
            let (message, next) = (id, None);
            return Ok(Tried { message, next });
        }
        let parked = Arc::new(parked);
        // Before it is counted: where the store does not answer it may be.
        self.under_way.lock().insert(id, Arc::clone(&parked));
        let parked = parked.as_ref();
        let mut is_dealt_with = false;
        if self.begin(parked).await? {
            match self.handle(&parked.message).await {
                Ok(()) => {
                    let resolved = self.store.resolve(self.name, id).await;
                    resolved.map_err(|error| error.to_string())?;
                    is_dealt_with = true;
                }
                Err(error) => {
                    let message = parked.message.clone();
                    self.park_failed(message, Some(parked), &error).await?;
                }
            }
        }
        self.under_way.lock().remove(&id);
        let next = match is_dealt_with {
            true => self.next_of(&parked.message.key).await?,
            false => None,
        };
        Ok(Tried { message: id, next })
    }

    async fn next_of(&self, key: &str) -> Result<Option<Parked>, String> {
        let (now, after) = (clock::now(), self.limits.after_last_attempt);
        let next = self.store.next_of(self.name, key, now, after).await;
        next.map_err(|error| error.to_string())
    }

    /// A quarter of the time it has waited already, so that a long outage is not met by a storm and
    /// the end of a short one not missed for long.
    pub(super) fn patience(&self, before: Option<&Parked>, now: Timestamp) -> Duration {
        let waited = before.map(|parked| now.duration_since(parked.parked_at));
        let waited = waited.and_then(|waited| Duration::try_from(waited).ok());
        let (base, max) = (self.limits.backoff_base, self.limits.backoff_max);
        spread((waited.unwrap_or_default() / 4).clamp(base, max.max(base)))
    }

    /// Jitter over a doubling wait, never under a tenth of it: a retry at once helps nobody.
    pub(super) fn backoff(&self, attempts: u32) -> Duration {
        let doubled = self
            .limits
            .backoff_base
            .saturating_mul(1 << attempts.min(16).saturating_sub(1));
        let cap = doubled.min(self.limits.backoff_max);
        spread(cap)
    }
}

/// What is looked for now and then.
pub(super) struct Looks {
    /// What was unknown and has a handler by now.
    known: Look,
    /// What a clock that has been set back since put aside.
    beyond: Look,
}

impl Looks {
    /// At once, each.
    pub(super) fn now() -> Self {
        Self {
            known: Look::every(LOOK),
            beyond: Look::every(LOOK_BEYOND),
        }
    }
}

/// When it is time again to look for what is seldom there.
struct Look {
    next: Mutex<Instant>,
    every: Duration,
}

impl Look {
    fn every(every: Duration) -> Self {
        let next = Mutex::new(Instant::now());
        Self { next, every }
    }

    fn is_due(&self) -> bool {
        let mut next = self.next.lock();
        let now = Instant::now();
        if now < *next {
            return false;
        }
        *next = now + self.every;
        true
    }

    /// Some were found: so it may be with the next ones of their keys.
    fn soon(&self) {
        *self.next.lock() = Instant::now();
    }
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

fn spread(cap: Duration) -> Duration {
    cap / 10 + stanchion_runtime::random::jitter(cap - cap / 10)
}

#[cfg(test)]
mod tests;
