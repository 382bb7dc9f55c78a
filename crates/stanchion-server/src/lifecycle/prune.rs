//! Forgetting what is old: keys of requests and of messages, and dead letters where that is wanted.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use stanchion_messaging::{ConsumerStore, Inbox};
use stanchion_runtime::clock;
use tokio_util::sync::CancellationToken;

use crate::Module;

/// How often it is looked for.
const EVERY: Duration = Duration::from_secs(600);

/// The most rows that one statement deletes.
const BATCH: usize = 1_000;

/// What a module forgets, and when.
pub(super) struct Pruning {
    inbox: Arc<dyn Inbox>,
    keys_kept: Duration,
    messages_kept: Duration,
    letters: Option<(Arc<dyn ConsumerStore>, Duration)>,
}

impl Pruning {
    /// `None` where a module has no inbox, and with it no consumers.
    pub(super) fn of(module: &Module) -> Option<Self> {
        Some(Self {
            inbox: module.inbox.clone()?,
            keys_kept: module.keys_kept,
            messages_kept: module.messages_kept,
            letters: module.consumers.clone().zip(module.dead_letters_kept),
        })
    }

    /// Until told to stop; a batch that was begun is finished.
    pub(super) async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            self.keys(&stop).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.messages() => {}
            }
            self.dead_letters(&stop).await;
        }
    }

    async fn keys(&self, stop: &CancellationToken) {
        let before = clock::now() - self.keys_kept;
        while !stop.is_cancelled() {
            match self.inbox.prune(before, BATCH).await {
                Ok(BATCH..) => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(%error, "old idempotency keys are pruned later");
                    return;
                }
            }
        }
    }

    async fn messages(&self) {
        let before = clock::now() - self.messages_kept;
        if let Err(error) = self.inbox.prune_messages(before, BATCH).await {
            tracing::warn!(%error, "old keys of messages are pruned later");
        }
    }

    async fn dead_letters(&self, stop: &CancellationToken) {
        let Some((store, kept)) = &self.letters else {
            return;
        };
        let before = clock::now() - *kept;
        while !stop.is_cancelled() {
            match discard(store.as_ref(), before, stop).await {
                Ok(BATCH..) => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(%error, "old dead letters are discarded later");
                    return;
                }
            }
        }
    }
}

/// Discards dead letters that died before that, a batch at most and as long as nobody stops; how many.
async fn discard(
    store: &dyn ConsumerStore,
    before: Timestamp,
    stop: &CancellationToken,
) -> Result<usize, stanchion_messaging::StoreError> {
    let letters = store.dead_before(before, BATCH).await?;
    let mut discarded = 0;
    for letter in &letters {
        if stop.is_cancelled() {
            break;
        }
        let (consumer, id) = (&letter.consumer, letter.message.id);
        if store.discard(consumer, id).await? {
            discarded += 1;
            let (contract, reason) = (&letter.message.contract, &letter.reason);
            tracing::warn!(consumer, message_id = %id, contract, reason, "a dead letter was discarded: nobody wanted it for so long");
        }
    }
    Ok(discarded)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use stanchion_messaging::{
        DeadLetterFilter, LogId, MemoryConsumerStore, Message, Metadata, Origin, Parked,
        ParkedState, Position,
    };
    use stanchion_runtime::id;
    use uuid::Uuid;

    use super::*;

    fn parked(state: ParkedState, at: Timestamp) -> Parked {
        Parked {
            consumer: "settlement".into(),
            message: Message {
                id: id::new_v7(),
                contract: "orders.order_placed.v1".into(),
                key: id::new_v7().to_string(),
                payload: Value::Null,
                origin: Origin {
                    log: LogId(Uuid::nil()),
                    position: Position(1),
                },
                metadata: Metadata::new(None),
                at,
            },
            state,
            attempts: 20,
            under_way: false,
            note: None,
            due_at: at,
            reason: "failed: out of luck".into(),
            parked_at: at,
        }
    }

    #[tokio::test]
    async fn only_dead_letters_that_are_old_enough_are_discarded() {
        let now = clock::now();
        let long_ago = now - Duration::from_secs(40 * 24 * 3600);
        let store = MemoryConsumerStore::default();
        let kept = [
            parked(ParkedState::Dead, now),
            parked(ParkedState::Unknown, long_ago),
            parked(ParkedState::Retry, long_ago),
        ];
        // Tried for long, dead since now: an operator has not seen it yet.
        let just_died = Parked {
            due_at: now,
            ..parked(ParkedState::Dead, long_ago)
        };
        store.park(&just_died).await.unwrap();
        let old = parked(ParkedState::Dead, long_ago);
        for parked in kept.iter().chain([&old]) {
            store.park(parked).await.unwrap();
        }
        let month = Duration::from_secs(30 * 24 * 3600);
        let stop = CancellationToken::new();
        let discarded = discard(&store, now - month, &stop).await;
        assert_eq!(discarded.unwrap(), 1);
        let filter = DeadLetterFilter {
            consumer: None,
            state: None,
            limit: BATCH,
        };
        let left = store.list(&filter).await.unwrap();
        let left: Vec<Uuid> = left.iter().map(|letter| letter.message.id).collect();
        assert!(kept.iter().all(|letter| left.contains(&letter.message.id)));
        assert!(left.contains(&just_died.message.id));
        assert_eq!(left.len(), kept.len() + 1);
    }
}
