use serde::Serialize;
use serde::de::DeserializeOwned;

/// A named, versioned message between contexts.
///
/// The name is `context.what_happened.vN` for an event and `context.do_this.vN` for a command.
/// A field is never removed or renamed within a version; what changes meaning gets the next one.
pub trait Contract: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The full name with its version, such as `orders.order_placed.v1`.
    const NAME: &'static str;

    /// What order is kept by: messages with the same key arrive in the order they were announced.
    fn key(&self) -> String;
}

/// A message whose payload is not what its contract says.
#[derive(Debug, thiserror::Error)]
#[error("message {id} is not a valid {contract}: {reason}")]
pub struct DecodeError {
    /// The message's id.
    pub id: uuid::Uuid,
    /// The contract that was wanted.
    pub contract: &'static str,
    /// What serde said.
    pub reason: String,
}
