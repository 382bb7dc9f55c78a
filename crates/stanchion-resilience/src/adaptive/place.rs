//! A place under the limit, and the wait for one.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::Kind;
use super::state::State;
use crate::Moment;

/// A place under the limit; dropping it frees it for who waits.
#[derive(Debug)]
#[must_use = "a dropped place is free again"]
pub struct Place {
    pub(super) shared: Option<Arc<Mutex<State>>>,
    pub(super) began: Moment,
    pub(super) running: u32,
    pub(super) kind: Option<Kind>,
}

/// A turn waited for; dropped, it leaves the queue, or gives on the place it has been sent.
pub(super) struct Waiting<'s> {
    pub(super) shared: &'s Mutex<State>,
    pub(super) turn: oneshot::Receiver<Place>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.turn.close();
        // Sent in this very moment: its drop hands it on, and must not find the lock taken.
        if self.turn.try_recv().is_err() {
            let mut state = self.shared.lock();
            state
                .queue
                .forget(Moment::now(), oneshot::Sender::is_closed);
        }
    }
}

impl Place {
    /// The call is one of this kind, for a limit of several.
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// When it was taken.
    #[must_use]
    pub fn began(&self) -> Moment {
        self.began
    }

    /// The call has ended, or was given up for taking too long: its time counts for the limit.
    pub fn finish(mut self) {
        let now = Moment::now();
        self.release(now, true);
    }

    /// The same at `now`, for whoever has read the clock, and for simulations.
    pub fn finish_at(mut self, now: Moment) {
        self.release(now, true);
    }

    fn release(&mut self, now: Moment, is_sample: bool) {
        let Some(shared) = self.shared.take() else {
            return;
        };
        let mut state = shared.lock();
        state.running -= 1;
        if is_sample {
            let kind = self.kind.take();
            state.sample(self, now, kind.as_ref());
        }
        // As many as the limit lets in; a waiter that has gone leaves its place to the next.
        while let Some(turn) = state.next(now) {
            let place = state.place(&shared, now);
            if let Err(mut unwanted) = turn.send(place) {
                // Not through its drop, which would want the lock again.
                unwanted.shared = None;
                state.running -= 1;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.shared.is_some() {
            self.release(Moment::now(), false);
        }
    }
}
