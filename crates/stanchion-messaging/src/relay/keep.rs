//! What a tenure keeps beside announcing: its checkpoint, operators' wishes, the broker's store, how far it is behind.

use std::time::Duration;

use futures_util::future::BoxFuture;
use stanchion_runtime::clock;
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use super::turn::{Turn, Wait};
use super::{Forwarder, Redrive, RelayState, letters};
use crate::{BrokerError, Position, StoreError};

/// How long the last save of a stop may take.
const SAVE_LAST: Duration = Duration::from_secs(1);

/// What is looked after beside announcing.
pub(super) struct Tended {
    store: Result<String, BrokerError>,
    wishes: Result<Vec<(Uuid, Redrive)>, StoreError>,
}

/// What became of a save, and what was to be saved.
pub(super) type Saved = (Result<bool, StoreError>, RelayState);

impl<'a> Turn<'a> {
    pub(super) fn is_saved(&self) -> bool {
        self.outgoing.is_empty() && self.settled.is_none()
    }

    pub(super) fn save(&mut self) -> Wait<'a, Saved> {
        let state = self.settled.take()?;
        self.skipped.clear();
        let (relay, name, token) = (self.relay, self.name, self.token);
        let confirmed = self.outgoing.first();
        let granted = self.granted.extract_if(.., |it| it.0 < confirmed);
        let granted: Vec<Uuid> = granted.map(|it| it.1).collect();
        Some(Box::pin(async move {
            let log = relay.feed.log_id();
            let saved = relay.store.save(name, log, token, &state).await;
            if matches!(saved, Ok(true)) && !granted.is_empty() {
                // Taken up twice at worst.
                let _ = relay.store.granted(name, &granted).await;
            }
            (saved, state)
        }))
    }

    /// What was confirmed by the end of a stop need not be announced again.
    pub(super) async fn save_last(&mut self) -> Result<(), StoreError> {
        if let Some(saving) = self.save() {
            let saved = tokio::time::timeout(SAVE_LAST, saving).await;
            return saved.map_or(Ok(()), |saved| self.saved(saved));
        }
        Ok(())
    }

    pub(super) fn saved(&mut self, saved: Saved) -> Result<(), StoreError> {
        match saved {
            (Ok(true), _) => Ok(()),
            (Ok(false), _) => Err(StoreError("another holder of the lease has come".into())),
            (Err(error), mut state) => {
                warn!(context = self.name, %error, "the relay's checkpoint waits for its store");
                // It was on its way when they were put aside.
                self.skipped.iter().for_each(|it| state.skip(it));
                self.settled.get_or_insert(state);
                Ok(())
            }
        }
    }

    pub(super) fn tend(&self) -> BoxFuture<'a, Tended> {
        let (relay, name) = (self.relay, self.name);
        Box::pin(async move {
            let (store, wishes, letters) = tokio::join!(
                relay.publisher.store_id(),
                relay.store.wishes(name),
                letters::tend(relay)
            );
            if let Err(error) = letters {
                warn!(context = name, %error, "the relay's dead letters wait for its store");
            }
            Tended { store, wishes }
        })
    }

    pub(super) fn tended(&mut self, tended: Tended) {
        if let Ok(store) = tended.store {
            self.found(store);
        }
        if self.owes_beacons {
            self.beacons();
        }
        let wishes = tended.wishes.unwrap_or_else(|error| {
            warn!(context = self.name, %error, "an operator's wishes cannot be read");
            Vec::new()
        });
        for (id, wish) in wishes {
            if self.granted.iter().any(|it| it.1 == id) {
                continue;
            }
            info!(
                context = self.name,
                ?wish,
                "an operator wants it announced again"
            );
            self.state.redrive(&wish);
            let stretch = self.push(Vec::new());
            self.granted.push((stretch, id));
        }
    }

    /// What the broker's store is known by; another one has nothing of what was announced.
    fn found(&mut self, store: String) {
        let before = self.state.store.replace(store);
        if before == self.state.store {
            return;
        }
        if before.is_some() {
            warn!(
                context = self.name,
                "the broker's store is another one than before: who misses something asks for it"
            );
            self.relay.count("store_lost");
            if self.relay.asks.is_none() {
                self.state.redrive(&Redrive::default());
            }
        }
        self.push(Vec::new());
        // Where something has just failed it is the next look that tells.
        self.owes_beacons = true;
    }

    pub(super) fn show_lag(&mut self, head: Position) {
        let behind = (head.0 - self.confirmed.0).max(0);
        if behind == 0 || self.moved.0 != self.confirmed {
            self.moved = (self.confirmed, Instant::now());
        }
        *self.relay.moved.lock() = Some(self.moved);
        let Some(metrics) = &self.relay.metrics else {
            return;
        };
        let oldest = self.outgoing.oldest();
        let age = oldest.map(|at| clock::now().duration_since(at).as_secs().max(0));
        // What cannot be read is not known to be old: how long it does not get on is.
        let still = i64::try_from(self.moved.1.elapsed().as_secs()).unwrap_or(i64::MAX);
        let (waiting, bytes) = (self.outgoing.waiting(), self.outgoing.bytes());
        metrics.lag(behind, age.unwrap_or(still), waiting, bytes);
    }
}

impl Forwarder {
    /// Since when it is there; an earlier tenure may have stood still there already.
    pub(super) fn moved_before(&self, position: Position) -> (Position, Instant) {
        let before = self.moved.lock().filter(|before| before.0 == position);
        before.unwrap_or_else(|| (position, Instant::now()))
    }
}

#[cfg(test)]
mod tests;
