//! The way back: consumers that miss something ask the relay of its log for it, through the same broker.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::Redrive;
use crate::{
    BrokerError, Contract, Envelope, Feed, Group, LogId, Message, Metadata, Origin, Position,
    Progress, Subscriber, partition_of,
};

/// Asks that wait until the relay looks at them; more are dropped, who asked asks again.
pub(super) const ASKS_MAX: usize = 256;

/// What a relay hears from the broker.
pub(super) enum Heard {
    /// From now on it can be asked: who asked before may have asked nobody.
    Open,
    /// Somebody misses something.
    Ask(Redrive),
}

/// How long the relay waits after its subscription failed.
const RECOVER: Duration = Duration::from_secs(1);

/// A consumer's wish for what it has missed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RedriveAsked {
    /// Of which log.
    pub(crate) log: LogId,
    /// Who asks.
    pub(crate) consumer: String,
    /// Which line: its partition.
    pub(crate) partition: u16,
    /// And its family.
    pub(crate) family: String,
    /// All up to here was dealt with.
    pub(crate) after: Position,
}

impl Contract for RedriveAsked {
    const NAME: &'static str = "stanchion.redrive.v1";

    fn key(&self) -> String {
        self.log.to_string()
    }
}

impl RedriveAsked {
    /// The ask on its way. It is made of no log entry: its position is the start.
    pub(crate) fn envelope(&self) -> Result<Envelope, String> {
        let id = stanchion_runtime::id::new_v7();
        let key = self.key();
        let partition = partition_of(&key);
        let message = Message {
            id,
            contract: Self::NAME.to_owned(),
            key,
            payload: serde_json::to_value(self).map_err(|error| error.to_string())?,
            origin: Origin {
                log: self.log,
                position: Position::START,
            },
            metadata: Metadata::new(None),
            at: stanchion_runtime::clock::now(),
        };
        Ok(Envelope {
            message,
            partition,
            prev: Position::START,
            transport: id,
        })
    }
}

/// Takes asks for this feed's log from the broker, for as long as it is polled.
pub(super) async fn listen(
    feed: &dyn Feed,
    subscriber: &Arc<dyn Subscriber>,
    asks: &mpsc::Sender<Heard>,
) {
    loop {
        if let Err(error) = take(feed, subscriber, asks).await {
            warn!(context = feed.name(), %error, "the relay cannot be asked");
        }
        tokio::time::sleep(RECOVER).await;
    }
}

async fn take(
    feed: &dyn Feed,
    subscriber: &Arc<dyn Subscriber>,
    asks: &mpsc::Sender<Heard>,
) -> Result<(), BrokerError> {
    let group = Group {
        name: format!("relay-{}", feed.name()),
        contracts: vec![RedriveAsked::NAME],
        progress: Default::default(),
    };
    let mut subscription = subscriber.subscribe(group).await?;
    // Full: there are asks, so it is known.
    let _ = asks.try_send(Heard::Open);
    loop {
        let delivery = subscription.next().await?;
        for message in &delivery.messages {
            let Ok(asked) = message.decode::<RedriveAsked>() else {
                continue;
            };
            if asked.log == feed.log_id() {
                info!(?asked, context = feed.name(), "asked to announce again");
                let wish = Redrive {
                    partition: Some(asked.partition),
                    family: Some(asked.family),
                    after: asked.after,
                    through: None,
                };
                // Full: it asks again.
                let _ = asks.try_send(Heard::Ask(wish));
            }
        }
        if let Progress::Receipt { receipt, .. } = delivery.progress {
            subscription.acknowledge(receipt).await?;
        }
    }
}
