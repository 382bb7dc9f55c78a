//! Subscriptions, each as a process of its own has it.

use std::sync::Arc;

use parking_lot::Mutex;
use stanchion_eventsourcing::{
    CheckpointError, Filter, Position, Recorded, Subscription, SubscriptionState,
};
use stanchion_messaging::HandlerError;
use stanchion_runtime::task;
use tokio_util::sync::CancellationToken;

use super::Real;
use super::counter::FIRST;
use crate::model::program::PAGE;

/// What the handler of a subscription took.
#[derive(Default)]
struct Seen {
    pages: usize,
    entries: Vec<Recorded>,
}

impl Real {
    /// One whose handler takes so many pages.
    fn subscription(
        &self,
        number: u8,
        pages: Option<usize>,
        seen: &Arc<Mutex<Seen>>,
    ) -> Subscription {
        let (name, filter) = match number {
            0 => ("everything", Filter::all()),
            _ => ("the-first-stream", Filter::category(FIRST)),
        };
        let seen = Arc::clone(seen);
        let take = move |entries: Vec<Recorded>| {
            let mut seen = seen.lock();
            let enough = pages == Some(seen.pages);
            if !enough {
                seen.pages += 1;
                seen.entries.extend(entries);
            }
            async move {
                match enough {
                    true => Err(HandlerError::Rejected("enough".into())),
                    false => Ok(()),
                }
            }
        };
        let (log, checkpoints) = (Arc::clone(&self.log), Arc::clone(&self.checkpoints));
        Subscription::with_pages(name, log, checkpoints, filter, (PAGE, PAGE), take)
    }

    pub(super) async fn follow(&self, number: u8, pages: Option<usize>) -> String {
        let seen = Arc::<Mutex<Seen>>::default();
        let subscription = self.subscription(number, pages, &seen);
        let (mut at, mut state) = (subscription.position(), subscription.state());
        let (head, stop) = (self.log.head().await.unwrap(), CancellationToken::new());
        let running = task::spawn("followed", subscription.run(stop.clone()));
        let halted = tokio::select! {
            halted = state.wait_for(|state| matches!(state, SubscriptionState::Halted(_))) => halted.is_ok(),
            reached = at.wait_for(|at| *at >= head) => reached.is_err(),
        };
        stop.cancel();
        running.await.unwrap();
        let (shown, at) = (self.shown(&seen.lock().entries), at.borrow().0 - self.base);
        format!("{shown} halted {halted} at {at}")
    }

    pub(super) async fn rewind(&self, number: u8, to: i64) -> String {
        let subscription = self.subscription(number, None, &Arc::default());
        match subscription.rewind(Position(self.base + to)).await {
            Ok(()) => format!("rewound to {to}"),
            Err(CheckpointError::WentBack { .. }) => format!("{to} is beyond the end"),
            Err(other) => panic!("{}: {other}", self.name),
        }
    }
}
