//! Messages to oneself at a later time.

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    Contract, LogId, Message, Metadata, Origin, Parked, ParkedState, Position, StoreError,
};

/// Under this no other message's key is: a delayed message makes nobody wait, and waits for nobody.
const KEY: &str = "delayed/";

impl Parked {
    /// A message that a consumer gives itself for later: a row of its own, which its handler of `C` gets when it is due or
    /// soon after, with the same attempts, dead letters and inbox as any other message.
    ///
    /// Write it with [`ConsumerStore::wait_behind`](crate::ConsumerStore::wait_behind), or in the transaction of the effect
    /// that asks for it. The id decides what is the same: writing it again while it waits changes nothing, and a handler that
    /// commits [`Received::inbox`](crate::Received::inbox) has its effect once.
    ///
    /// Survives a crash: everything once it is written. May repeat: the attempt.
    ///
    /// # Errors
    /// The contract does not serialise.
    pub fn delayed<C: Contract>(
        consumer: &str,
        contract: &C,
        id: Uuid,
        due_at: Timestamp,
        metadata: &Metadata,
    ) -> Result<Self, StoreError> {
        let payload = serde_json::to_value(contract);
        let now = stanchion_runtime::clock::now();
        let message = Message {
            id,
            contract: C::NAME.to_owned(),
            key: format!("{KEY}{id}"),
            payload: payload.map_err(|error| StoreError(error.to_string()))?,
            // It is of no log's entry.
            origin: Origin {
                log: LogId(Uuid::nil()),
                position: Position::START,
            },
            metadata: metadata.clone(),
            at: now,
        };
        Ok(Self {
            consumer: consumer.to_owned(),
            message,
            state: ParkedState::Retry,
            attempts: 0,
            under_way: false,
            note: None,
            due_at,
            reason: "not due yet".into(),
            parked_at: now,
        })
    }

    /// Whether it is a message for a later time, and due then on purpose.
    #[must_use]
    pub fn is_delayed(&self) -> bool {
        self.message.key.starts_with(KEY)
    }
}
