//! Event-sourced aggregate: a pure decision on what happened before; what it decides is what is stored.
//!
//! The usual defect: two requests check the same stock, both find enough, both write, and more is sold
//! than there is. Here the stream's version is part of the append: whoever comes second decides anew.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stanchion::eventsourcing::testing::given;
use stanchion::eventsourcing::{Aggregate, ExecuteError, MemoryLog, Metadata, Repository, Version};

#[derive(Clone, Default)]
struct Stock {
    free: u32,
}

enum StockCommand {
    Receive(u32),
    Reserve(u32),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum StockEvent {
    Received { quantity: u32 },
    Reserved { quantity: u32 },
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("only {free} are free")]
struct NotEnough {
    free: u32,
}

impl Aggregate for Stock {
    const CATEGORY: &'static str = "stock";
    type Command = StockCommand;
    type Event = StockEvent;
    type Refusal = NotEnough;

    fn decide(&self, command: &StockCommand) -> Result<Vec<StockEvent>, NotEnough> {
        match *command {
            StockCommand::Receive(quantity) => Ok(vec![StockEvent::Received { quantity }]),
            StockCommand::Reserve(quantity) if quantity <= self.free => {
                Ok(vec![StockEvent::Reserved { quantity }])
            }
            StockCommand::Reserve(_) => Err(NotEnough { free: self.free }),
        }
    }

    fn evolve(&mut self, event: &StockEvent) {
        match event {
            StockEvent::Received { quantity } => self.free += quantity,
            StockEvent::Reserved { quantity } => self.free -= quantity,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // The rules alone, without a log.
    given::<Stock>([StockEvent::Received { quantity: 1 }])
        .when(StockCommand::Reserve(2))
        .then_refused(NotEnough { free: 1 });

    // Two processes on one log: neither knows what the other is about to do.
    let log = Arc::new(MemoryLog::new());
    let (here, there) = (Repository::<Stock>::new(log.clone()), Repository::new(log));
    let who = Metadata::new(None);
    here.execute("lamp", &StockCommand::Receive(5), &who)
        .await?;
    let wish = StockCommand::Reserve(3);
    let (first, second) = tokio::join!(
        here.execute("lamp", &wish, &who),
        there.execute("lamp", &wish, &who),
    );
    let refused = [&first, &second].into_iter().filter(|one| one.is_err());
    println!(
        "five lamps, two want three each: {} refused",
        refused.count()
    );
    assert!(matches!(
        first.and(second),
        Err(ExecuteError::Refused(NotEnough { free: 2 }))
    ));

    for recorded in here.history("lamp", Version(0), 10).await? {
        println!(
            "version {}: {} {}",
            recorded.version, recorded.kind, recorded.data
        );
    }
    let lamp = here.load("lamp").await?;
    println!("free now: {}", lamp.state.free);
    assert_eq!((lamp.state.free, lamp.version), (2, Some(Version(1))));
    Ok(())
}
