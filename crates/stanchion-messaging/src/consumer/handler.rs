use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use uuid::Uuid;

use crate::{Contract, InboxEntry, InboxKey, Message, MessageOrigin, Metadata};

/// Why a message was not handled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandlerError {
    /// Something it needs is out: tried again for as long as it takes.
    #[error("later: {0}")]
    Later(String),
    /// It failed: tried again, at most [`attempts_max`](crate::ConsumerLimits::attempts_max) times.
    #[error("failed: {0}")]
    Failed(String),
    /// It can never succeed: a dead letter at once.
    #[error("rejected: {0}")]
    Rejected(String),
}

/// What a handler knows about the message beside its content.
#[derive(Clone, Debug)]
pub struct Received {
    /// The message's id: the same at every delivery.
    pub id: Uuid,
    /// What order is kept by.
    pub key: String,
    /// For what the handler records: same chain, caused by this message, in the current trace.
    pub metadata: Metadata,
    /// When the announced entry was recorded.
    pub at: Timestamp,
    consumer: &'static str,
    origin: MessageOrigin,
}

impl Received {
    /// The inbox row to commit with the effect, so that a repeat has none.
    #[must_use]
    pub fn inbox(&self) -> InboxEntry {
        self.entry(None)
    }

    /// The same for one of several effects that cannot commit together.
    #[must_use]
    pub fn inbox_part(&self, part: &str) -> InboxEntry {
        self.entry(Some(part))
    }

    fn entry(&self, part: Option<&str>) -> InboxEntry {
        InboxEntry {
            key: InboxKey::message(self.consumer, self.id, part),
            owner: None,
            answer: Some(self.origin.encode()),
        }
    }
}

pub(super) type Handler = Arc<
    dyn Fn(Message, &'static str) -> BoxFuture<'static, Result<(), HandlerError>> + Send + Sync,
>;

/// Hides the contract's type behind a message.
pub(super) fn erase<C, F, Fut>(handle: F) -> Handler
where
    C: Contract,
    F: Fn(C, Received) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    let handle = Arc::new(handle);
    Arc::new(move |message, consumer| {
        let handle = Arc::clone(&handle);
        Box::pin(async move {
            let contract = message.decode::<C>();
            let contract = contract.map_err(|error| HandlerError::Rejected(error.to_string()))?;
            let received = Received {
                origin: MessageOrigin::of(&message),
                id: message.id,
                metadata: message.metadata.caused_by(message.id),
                key: message.key,
                at: message.at,
                consumer,
            };
            handle(contract, received).await
        })
    })
}
