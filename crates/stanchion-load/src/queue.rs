//! What is due and waits for a free connection: first come, first served, bounded.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::schedule::Arrival;

#[derive(Debug)]
pub(crate) struct Queue {
    waiting_max: usize,
    inner: Mutex<Inner>,
    /// Wakes who has waited longest, so that connections take turns.
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Arrival>,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(waiting_max: usize) -> Self {
        Self {
            waiting_max,
            inner: Mutex::default(),
            arrived: Notify::new(),
        }
    }

    /// False when there is no room.
    pub(crate) fn push(&self, arrival: Arrival) -> bool {
        let mut inner = self.inner.lock();
        if inner.waiting.len() >= self.waiting_max {
            return false;
        }
        inner.waiting.push_back(arrival);
        drop(inner);
        self.arrived.notify_one();
        true
    }

    /// The next one, once there is one; `None` after the last.
    pub(crate) async fn next(&self) -> Option<Arrival> {
        loop {
            let arrived = self.arrived.notified();
            {
                let mut inner = self.inner.lock();
                if let Some(arrival) = inner.waiting.pop_front() {
                    return Some(arrival);
                }
                if inner.closed {
                    break;
                }
            }
            arrived.await;
        }
        // Who hears of the end tells the next one.
        self.arrived.notify_one();
        None
    }

    /// Nothing comes any more; what waits is still handed out.
    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
        self.arrived.notify_one();
    }
}
