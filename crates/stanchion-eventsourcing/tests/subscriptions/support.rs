//! A log that is filled, and a subscription that notes what it is given.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use stanchion_eventsourcing::{
    Append, CheckpointStore, EventLog, Expected, Filter, MemoryCheckpoints, MemoryLog, Metadata,
    NewEvent, Position, StreamId, Subscription, SubscriptionState,
};
use stanchion_messaging::HandlerError;
use stanchion_runtime::{id, task};
use tokio_util::sync::CancellationToken;

/// Long enough for any machine; no test waits for it to pass.
pub(crate) const LONG: Duration = Duration::from_secs(3_600);

pub(crate) async fn fill(log: &Arc<dyn EventLog>, count: usize) {
    for n in 0..count {
        let event = NewEvent {
            id: id::new_v7(),
            kind: "counted".into(),
            data: json!({ "n": n }).into(),
        };
        let append = Append {
            stream: StreamId::new(["odd", "even"][n % 2], "a"),
            expected: Expected::Any,
            events: vec![event],
            inbox: None,
            timers: Vec::new(),
            metadata: Metadata::new(None),
        };
        log.append(append).await.unwrap();
    }
}

pub(crate) async fn log_of(count: usize) -> Arc<dyn EventLog> {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
    fill(&log, count).await;
    log
}

/// A subscription whose handler notes what it is given, and answers by a script.
pub(crate) struct Noted {
    pub(crate) subscription: Subscription,
    seen: Arc<Mutex<Vec<i64>>>,
    pub(crate) answers: Arc<Mutex<VecDeque<HandlerError>>>,
    pub(crate) stop: CancellationToken,
}

impl Noted {
    pub(crate) fn new(
        log: &Arc<dyn EventLog>,
        kept: &Arc<MemoryCheckpoints>,
        filter: Filter,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let (note, script) = (Arc::clone(&seen), Arc::clone(&answers));
        let subscription = Subscription::with_pages(
            "noted",
            Arc::clone(log),
            Arc::clone(kept) as Arc<dyn CheckpointStore>,
            filter,
            (3, 3),
            move |entries| {
                note.lock()
                    .extend(entries.iter().map(|entry| entry.position.0));
                let answer = script.lock().pop_front();
                async move { answer.map_or(Ok(()), Err) }
            },
        );
        Self {
            subscription,
            seen,
            answers,
            stop: CancellationToken::new(),
        }
    }

    pub(crate) fn run(&self) -> task::Task<()> {
        let running = self.subscription.clone().run(self.stop.clone());
        task::spawn("noted", running)
    }

    pub(crate) async fn reaches(&self, position: i64) {
        let mut at = self.subscription.position();
        let reached = at.wait_for(|at| *at >= Position(position));
        tokio::time::timeout(LONG, reached).await.unwrap().unwrap();
    }

    pub(crate) async fn is(
        &self,
        wanted: impl FnMut(&SubscriptionState) -> bool,
    ) -> SubscriptionState {
        let mut state = self.subscription.state();
        let reached = tokio::time::timeout(LONG, state.wait_for(wanted)).await;
        reached.unwrap().unwrap().clone()
    }

    pub(crate) fn taken(&self) -> Vec<i64> {
        std::mem::take(&mut self.seen.lock())
    }
}
