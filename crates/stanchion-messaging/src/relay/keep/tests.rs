use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::*;
use crate::relay::hand::Handed;
use crate::{
    Envelope, Feed, FeedPage, Forwarder, LogId, MemoryRelayStore, Message, Metadata, Origin, Place,
    PublishError, Publisher, partition_of,
};

/// A feed and a broker that nobody asks.
struct Nothing;

#[async_trait]
impl Feed for Nothing {
    fn name(&self) -> &str {
        "walls"
    }

    fn log_id(&self) -> LogId {
        LogId(Uuid::nil())
    }

    async fn read(&self, _after: Place, _limit: usize) -> Result<FeedPage, BrokerError> {
        Ok(FeedPage::default())
    }

    fn changes(&self) -> watch::Receiver<Position> {
        watch::channel(Position::START).1
    }
}

#[async_trait]
impl Publisher for Nothing {
    async fn publish(&self, _envelope: &Envelope) -> Result<(), PublishError> {
        Ok(())
    }

    async fn store_id(&self) -> Result<String, BrokerError> {
        Ok("the same".into())
    }
}

fn message(position: i64, key: &str) -> Message {
    Message {
        id: Uuid::from_u128(position as u128),
        contract: "x.y.v1".into(),
        key: key.into(),
        payload: serde_json::Value::Null,
        origin: Origin {
            log: LogId(Uuid::nil()),
            position: Position(position),
        },
        metadata: Metadata::new(None),
        at: clock::now(),
    }
}

#[tokio::test]
async fn a_save_that_failed_comes_back_without_what_was_put_aside_meanwhile() {
    let relay = Forwarder::new(
        Arc::new(Nothing),
        Arc::new(Nothing),
        Arc::new(MemoryRelayStore::default()),
    );
    let mut state = RelayState::default();
    for position in [1, 4] {
        state.announce(message(position, "a")).unwrap();
    }
    let mut turn = Turn::new(&relay, "walls", 1, state.clone());
    turn.settled = Some(state.clone());
    let saving = turn.save();
    // The last one is announced again and refused now, beside one of another partition that is on its way.
    turn.state.redrive(&Redrive {
        after: Position(1),
        ..Redrive::default()
    });
    let again = turn.state.repeat(Position(1), message(4, "a")).unwrap();
    let other = turn.state.announce(message(6, "foobar")).unwrap();
    turn.push(vec![again, other]);
    turn.outgoing.next();
    let partition = partition_of("a");
    turn.handed(&Handed {
        partition,
        confirmed: 0,
        is_aside: true,
    });
    drop(saving);
    turn.saved((Err(StoreError("away".into())), state)).unwrap();
    let settled = turn.settled.expect("what could not be saved");
    assert_eq!(settled.last["x.y"][usize::from(partition)], Position(1));
}
