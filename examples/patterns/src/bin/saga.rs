//! Saga: a process that goes through payment and stock, or takes back what was done.
//!
//! The usual defect: "out of stock" arrives twice, or together with the time-out, and the money is given
//! back twice; or a crash comes between decision and call, and it is never given back. Here the process
//! is an aggregate: it decides on what it already asked for, and its relay announces what it decided.
//! In a service a `ProcessManager` does what `main` does here, fed by a consumer and by the clock.

use std::convert::Infallible;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stanchion::eventsourcing::{
    Aggregate, ExecuteError, MemoryLog, Metadata, Repository, TimerChange, Timers, Version,
};
use stanchion::messaging::{InboxEntry, InboxKey};
use stanchion::runtime::{clock, id};

#[derive(Clone, Default)]
enum Purchase {
    #[default]
    New,
    AwaitingStock,
    Refunding,
}

enum PurchaseCommand {
    Start { until: jiff::Timestamp },
    HearOutOfStock,
    TimeOut,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum PurchaseEvent {
    Paid { until: jiff::Timestamp },
    RefundAsked,
}

impl Aggregate for Purchase {
    const CATEGORY: &'static str = "purchase";
    type Command = PurchaseCommand;
    type Event = PurchaseEvent;
    type Refusal = Infallible;

    fn decide(&self, command: &PurchaseCommand) -> Result<Vec<PurchaseEvent>, Infallible> {
        use PurchaseCommand::{HearOutOfStock, Start, TimeOut};
        Ok(match (self, command) {
            (Self::New, &Start { until }) => vec![PurchaseEvent::Paid { until }],
            (Self::AwaitingStock, HearOutOfStock | TimeOut) => vec![PurchaseEvent::RefundAsked],
            // Late and repeated messages have an answer too: nothing.
            _ => vec![],
        })
    }

    fn evolve(&mut self, event: &PurchaseEvent) {
        *self = match event {
            PurchaseEvent::Paid { .. } => Self::AwaitingStock,
            PurchaseEvent::RefundAsked => Self::Refunding,
        };
    }

    /// Commits with the event, so that it survives a crash. Not cleared: a late one does no harm.
    fn timers(event: &PurchaseEvent) -> Vec<TimerChange> {
        let PurchaseEvent::Paid { until } = *event else {
            return vec![];
        };
        let name = "step".to_owned();
        vec![TimerChange::Set {
            name,
            due_at: until,
        }]
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let purchases = Arc::new(Repository::<Purchase>::new(Arc::new(MemoryLog::new())));
    let until = clock::now();
    let who = Metadata::new(None);
    purchases
        .execute("7", &PurchaseCommand::Start { until }, &who)
        .await?;

    let message = id::new_v7();
    println!("out of stock, events: {}", hear(&purchases, message).await?);
    println!(
        "the same message again, events: {}",
        hear(&purchases, message).await?
    );
    println!(
        "said once more by stock, events: {}",
        hear(&purchases, id::new_v7()).await?
    );
    let timers = Timers::new(Arc::clone(&purchases), |_, _| PurchaseCommand::TimeOut);
    println!(
        "timers that fired too late: {}",
        timers.fire_due(until).await?
    );

    let history = purchases.history("7", Version(0), 100).await?;
    let kinds: Vec<_> = history
        .iter()
        .map(|recorded| recorded.kind.as_str())
        .collect();
    println!("what happened: {}", kinds.join(", "));
    assert_eq!(kinds, ["paid", "refund_asked"], "compensated once");
    Ok(())
}

/// Takes one delivery; how many events came of it. The inbox row commits with them.
async fn hear(purchases: &Repository<Purchase>, message: uuid::Uuid) -> anyhow::Result<usize> {
    let inbox = InboxEntry::new(InboxKey::message("purchase", message, None));
    let who = Metadata::new(None);
    let execution = purchases.on("7", &who).inbox(Some(inbox));
    match execution.execute(&PurchaseCommand::HearOutOfStock).await {
        Ok(executed) => Ok(executed.events.len()),
        Err(ExecuteError::AlreadyHandled { .. }) => Ok(0),
        Err(error) => Err(error.into()),
    }
}
