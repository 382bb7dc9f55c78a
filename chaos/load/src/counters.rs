//! Commands on aggregates, the way an application writes: decided on the state, appended at its version.

use std::sync::Arc;

use rand::Rng;
use serde::{Deserialize, Serialize};
use stanchion::eventsourcing::{Aggregate, ExecuteError, Executed, Metadata, Repository};
use uuid::Uuid;

use crate::ask::{Desk, entry, key};
use crate::journal::{How, Intent, Outcome};
use crate::store::Store;

/// Aggregates that all processes execute on.
const COUNTERS: u32 = 12;

/// Counts its own events, and writes into each how many it had seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter {
    seen: i64,
}

pub(crate) struct Count {
    token: Uuid,
    parts: usize,
    key: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub(crate) enum Counted {
    Counted {
        token: Uuid,
        part: usize,
        parts: usize,
        key: Option<String>,
        seen: i64,
    },
}

/// A counter never refuses.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Never {}

impl Aggregate for Counter {
    const CATEGORY: &'static str = "counter";
    type Command = Count;
    type Event = Counted;
    type Refusal = Never;

    fn decide(&self, command: &Count) -> Result<Vec<Counted>, Never> {
        let counted = |part| Counted::Counted {
            token: command.token,
            part,
            parts: command.parts,
            key: command.key.clone(),
            seen: self.seen,
        };
        Ok((0..command.parts).map(counted).collect())
    }

    fn evolve(&mut self, _event: &Counted) {
        self.seen += 1;
    }
}

pub(crate) fn repository(store: &Arc<Store>) -> Repository<Counter> {
    Repository::new(store.log.clone())
}

pub(crate) async fn write(
    mut desk: Desk,
    repository: Arc<Repository<Counter>>,
) -> anyhow::Result<()> {
    while desk.goes_on().await {
        let id = format!("c{}", desk.dice.random_range(0..COUNTERS));
        let mut intent = Intent::append(format!("counter/{id}"), None, 1);
        intent.how = How::Repository;
        intent.count = desk.dice.random_range(1..=3);
        intent.ids.clear();
        let keyed = desk.dice.random_bool(0.7);
        intent.key = keyed.then(|| key("counter", &intent.token.to_string()));
        let command = Count {
            token: intent.token,
            parts: intent.count,
            key: intent.key.clone(),
        };
        let metadata = Metadata::new(None);
        desk.settle(&intent, async || {
            let inbox = command.key.as_deref().map(entry);
            let on = repository.on(&id, &metadata).inbox(inbox);
            outcome(on.execute(&command).await)
        })
        .await;
    }
    Ok(())
}

fn outcome(executed: Result<Executed<Counter>, ExecuteError<Never>>) -> Outcome {
    match executed {
        Ok(executed) => Outcome::Ack {
            position: executed.position.0,
            version: executed.version.map(|version| version.0),
        },
        // The key is this command's own: an earlier attempt was committed after all.
        Err(ExecuteError::AlreadyHandled { position, .. }) => Outcome::Ack {
            position: position.map_or(0, |at| at.0),
            version: None,
        },
        Err(ExecuteError::VersionMismatch { .. }) => refused("conflict"),
        Err(ExecuteError::ClaimLost) => refused("claim lost"),
        Err(ExecuteError::Overloaded) => refused("overloaded"),
        // Also what later versions may add: the least that can be said.
        Err(_) => Outcome::Unknown { why: "unavailable" },
    }
}

fn refused(why: &'static str) -> Outcome {
    let position = None;
    Outcome::Refused { why, position }
}
