//! What an [`Adaptive`](super::Adaptive) and its clones share.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::limit::Limit;
use super::{Kind, Place, Sample};
use crate::codel::{Codel, CodelSettings};
use crate::deadline::Deadline;
use crate::moment::nanos;
use crate::{Moment, Priority, Refusal};

#[derive(Debug)]
pub(super) struct State {
    pub(super) limit: Limit,
    pub(super) running: u32,
    pub(super) queue: Codel<oneshot::Sender<Place>>,
    pub(super) queue_max: Option<u32>,
    /// With so many calls at a time or fewer, what a call takes is what it takes unloaded.
    pub(super) quiet: u32,
    /// Calls are compared by their kinds.
    pub(super) is_mixed: bool,
    /// Mean nanoseconds of the last calls, of whatever kind.
    pub(super) took: f64,
}

/// The mean time of calls is one over about so many.
const TOOK_CALLS: f64 = 64.0;

impl State {
    pub(super) fn new(limit: Limit, queue: &CodelSettings, now: Moment) -> Self {
        State {
            limit,
            running: 0,
            queue: Codel::new(queue, now),
            queue_max: None,
            quiet: 0,
            is_mixed: false,
            took: 0.0,
        }
    }

    pub(super) fn enter(
        &mut self,
        shared: &Arc<Mutex<State>>,
        now: Moment,
        priority: Priority,
    ) -> Option<Place> {
        let place = self.enter_at_once(shared, now, priority);
        if place.is_none() {
            self.limit.felt();
        }
        place
    }

    /// The same, and who finds no place is not counted: it comes again to wait.
    pub(super) fn enter_at_once(
        &mut self,
        shared: &Arc<Mutex<State>>,
        now: Moment,
        priority: Priority,
    ) -> Option<Place> {
        let has_room = self.running < self.limit.of(priority);
        let is_free = has_room && !self.queue.is_waited_for(priority);
        is_free.then(|| self.place(shared, now))
    }

    pub(super) fn place(&mut self, shared: &Arc<Mutex<State>>, now: Moment) -> Place {
        self.running += 1;
        Place {
            shared: Some(shared.clone()),
            began: now,
            running: self.running,
            kind: None,
        }
    }

    /// As many as are served within the longest wait, as things are: whoever came behind them would wait in vain.
    fn room(&self) -> usize {
        let limit = self.limit.now();
        let Some(queue_max) = self.queue_max.filter(|_| self.took > 0.0) else {
            return self.queue_max.unwrap_or(limit) as usize;
        };
        let served = f64::from(limit) * self.queue.interval().as_nanos() as f64 / self.took;
        (served as u32).max(limit).min(queue_max) as usize
    }

    pub(super) fn sample(&mut self, place: &Place, now: Moment, kind: Option<&Kind>) {
        let mut took = now.since(place.began);
        self.took += (nanos(took) as f64 - self.took) / TOOK_CALLS;
        match (self.is_mixed, kind) {
            (false, _) => {}
            (true, Some(kind)) => took = kind.compare(took, place.running <= self.quiet),
            (true, None) => return,
        }
        self.limit.sample(Sample {
            began: place.began,
            ended: now,
            took,
            running: place.running,
        });
    }

    pub(super) fn wait(
        &mut self,
        now: Moment,
        priority: Priority,
        deadline: Deadline,
    ) -> Result<oneshot::Receiver<Place>, Refusal> {
        let (turn, waiting) = oneshot::channel();
        let room = self.room();
        if self.queue.len() >= room {
            self.queue.forget(now, oneshot::Sender::is_closed);
        }
        // A displaced sender is dropped, which tells its receiver.
        match self.queue.push(now, priority, deadline, turn, room) {
            Ok(_displaced) => Ok(waiting),
            Err(_) => Err(Refusal::Overloaded),
        }
    }

    /// Who may begin now that something has ended.
    pub(super) fn next(&mut self, now: Moment) -> Option<oneshot::Sender<Place>> {
        let has_room = |class: &Priority| self.running < self.limit.of(*class);
        let least = Priority::ALL.into_iter().rev().find(has_room)?;
        // Shed senders are dropped, which tells their receivers.
        self.queue.pop(now, least).next
    }
}
