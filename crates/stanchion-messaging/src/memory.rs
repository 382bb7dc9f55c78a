//! Stores in memory, for tests of what stands above them; nothing survives the process.

mod consumers;
mod inbox;

pub use consumers::MemoryConsumerStore;
pub use inbox::{MemoryInbox, Unsettled};
