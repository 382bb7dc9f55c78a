//! The stages that are ours, bare.

use load::{Job, Outcome, Report, Writer};
use stanchion_eventsourcing::EventLog;
use stanchion_messaging::{InboxEntry, InboxKey};
use std::sync::Arc;
use uuid::Uuid;

use crate::clock::Clock;
use crate::store::{self, MoneyBooked};

struct Appender {
    log: Arc<dyn EventLog>,
    clock: Arc<Clock>,
    inbox: bool,
}

impl Writer for Appender {
    async fn append(&mut self, _: usize, _: Option<i64>) -> Outcome {
        let booked = MoneyBooked::of(self.clock.number());
        let key = || InboxEntry::new(InboxKey::message("sink", Uuid::now_v7(), None));
        let inbox = self.inbox.then(key);
        store::append(&*self.log, &booked, inbox).await;
        Outcome::Appended(0)
    }
}

/// Durable appends, as the announcing context makes them.
pub async fn append(job: &Job) -> Report {
    write(job, "source", false).await
}

/// An effect and its inbox row, in the log's own batches.
pub async fn effect(job: &Job) -> Report {
    write(job, "sink", true).await
}

async fn write(job: &Job, module: &'static str, inbox: bool) -> Report {
    let (_db, log) = store::context(job, module).await;
    let clock = Clock::new();
    let writer = |_| Appender {
        log: Arc::clone(&log),
        clock: Arc::clone(&clock),
        inbox,
    };
    load::write(job, (0..job.writers).map(writer).collect()).await
}
