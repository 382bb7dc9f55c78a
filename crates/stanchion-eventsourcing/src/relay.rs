use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use stanchion_messaging::{BrokerError, Contract, Feed, FeedPage, Message, Origin, Place, family};
use tokio::sync::watch;
use tracing::info_span;
use uuid::Uuid;

use crate::{
    Checkpoint, CheckpointError, EventLog, Filter, LogId, Position, Recorded, UnknownEvent,
};

/// A contract made of a log entry, before it is a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    contract: &'static str,
    key: String,
    payload: Result<Value, String>,
}

impl Announcement {
    /// Announces a contract.
    #[must_use]
    pub fn of<C: Contract>(contract: &C) -> Self {
        Self {
            contract: C::NAME,
            key: contract.key(),
            payload: serde_json::to_value(contract).map_err(|error| error.to_string()),
        }
    }

    /// The contract's name.
    #[must_use]
    pub fn contract(&self) -> &'static str {
        self.contract
    }
}

type Announce = Box<dyn Fn(&Recorded) -> Result<Vec<Announcement>, UnknownEvent> + Send + Sync>;

/// Follows a context's log and announces its entries as contracts: the only way out of a context.
///
/// The function is pure and total: the same entry makes the same messages, however often it is
/// read, each with an id derived from the event's id and the contract. An entry that it does not
/// know stops the feed there and is reported; nothing is skipped in silence.
pub struct Relay {
    name: &'static str,
    log: Arc<dyn EventLog>,
    announce: Announce,
}

impl Relay {
    /// A relay of the context `name`.
    pub fn new(
        name: &'static str,
        log: Arc<dyn EventLog>,
        announce: impl Fn(&Recorded) -> Result<Vec<Announcement>, UnknownEvent> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            log,
            announce: Box::new(announce),
        }
    }

    /// The entries after that place. The one at the place is read with them: that it is still the same shows that the
    /// log did not go back, at the moment of this very read.
    async fn entries(&self, after: Place, limit: usize) -> Result<Vec<Recorded>, BrokerError> {
        let failed = |error: &dyn std::fmt::Display| BrokerError(error.to_string());
        let all = Filter::all();
        if after.position == Position::START {
            let entries = self.log.read(after.position, &all, limit).await;
            return entries.map_err(|error| failed(&error));
        }
        let before = Position(after.position.0 - 1);
        let entries = self.log.read(before, &all, limit + 1).await;
        let mut entries = entries.map_err(|error| failed(&error))?;
        let checkpoint = Checkpoint {
            log: self.log.id(),
            position: after.position,
            event: after.event,
        };
        match entries.first() {
            Some(first) => checkpoint.compare(first).map_err(|error| failed(&error))?,
            None => {
                let head = self.log.head().await.map_err(|error| failed(&error))?;
                let position = after.position;
                return Err(failed(&CheckpointError::WentBack { position, head }));
            }
        }
        entries.remove(0);
        Ok(entries)
    }

    fn messages(&self, recorded: &Recorded) -> Result<Vec<Message>, BrokerError> {
        let announcements = (self.announce)(recorded).map_err(|e| BrokerError(e.to_string()))?;
        if announcements.is_empty() {
            return Ok(Vec::new());
        }
        twice(&announcements).map_or(Ok(()), |contract| {
            Err(BrokerError(format!(
                "the entry at {} is announced twice as {contract}: consumers take one message of a contract, whatever \
                 its version, from an entry",
                recorded.position
            )))
        })?;
        let span = info_span!("relay", otel.kind = "producer", context = self.name, position = %recorded.position);
        let trace = recorded
            .metadata
            .trace
            .as_deref()
            .and_then(|text| text.parse().ok());
        if let Some(trace) = trace {
            stanchion_telemetry::trace::continue_from(&span, &trace);
        }
        span.in_scope(|| {
            announcements
                .into_iter()
                .map(|each| self.message(recorded, each))
                .collect()
        })
    }

    fn message(&self, recorded: &Recorded, each: Announcement) -> Result<Message, BrokerError> {
        let payload = each.payload.map_err(|reason| {
            BrokerError(format!("{} does not serialise: {reason}", each.contract))
        })?;
        Ok(Message {
            id: message_id(recorded.id, each.contract),
            contract: each.contract.to_owned(),
            key: each.key,
            payload,
            origin: Origin {
                log: self.log.id(),
                position: recorded.position,
            },
            metadata: recorded.metadata.caused_by(recorded.id),
            at: recorded.at,
        })
    }
}

#[async_trait]
impl Feed for Relay {
    fn name(&self) -> &str {
        self.name
    }

    fn log_id(&self) -> LogId {
        self.log.id()
    }

    async fn read(&self, after: Place, limit: usize) -> Result<FeedPage, BrokerError> {
        let entries = self.entries(after, limit).await?;
        let mut page = FeedPage {
            messages: Vec::new(),
            through: after,
        };
        for recorded in &entries {
            match self.messages(recorded) {
                Ok(messages) => page.messages.extend(messages),
                // What comes before it goes out; the next read begins with it, and fails.
                Err(_) if page.through.position > after.position => break,
                Err(error) => return Err(error),
            }
            page.through = Place {
                position: recorded.position,
                event: Some(recorded.id),
            };
        }
        Ok(page)
    }

    fn changes(&self) -> watch::Receiver<Position> {
        self.log.changes()
    }
}

/// A contract of which there is more than one, versions aside: a newer version takes the place of the older one once every
/// consumer knows it, and never stands beside it, where it would be a second message with the same effect.
fn twice(announcements: &[Announcement]) -> Option<&str> {
    let families = announcements.iter().map(|one| family(one.contract));
    let mut seen = HashSet::new();
    families.into_iter().find(|family| !seen.insert(*family))
}

/// The same entry and contract give the same id, however often they are announced.
fn message_id(event: Uuid, contract: &str) -> Uuid {
    stanchion_runtime::id::derived(&event, contract.as_bytes())
}
