//! Aggregates, the event log's port, repositories, projections, subscriptions, process managers and the relay.
//!
//! An [`Aggregate`] decides, purely. A [`Repository`] loads it from its stream and appends what it
//! decided to the [`EventLog`], which is the source of truth *and* the outbox: a [`Relay`] makes
//! contracts of its entries. A [`Projection`] turns the log into rows. A [`ProcessManager`] is an
//! aggregate fed by a consumer, with timers that commit with its events; as a [`Process`], it has definitions, pauses at
//! what it cannot decide, and obeys an operator.
//!
//! [`MemoryLog`] keeps a log in memory, for tests of what stands above it; `stanchion-sql` has the
//! durable ones. [`testing`] has given/when/then.

mod aggregate;
mod append;
mod content;
mod event;
mod log;
mod memory;
mod personal;
mod process;
mod projection;
mod relay;
mod repository;
mod slots;
mod snapshot;
mod subscription;
pub mod testing;
mod timers;
#[doc(hidden)]
pub mod upcast;

pub use aggregate::Aggregate;
pub use append::{Append, AppendError, Appended, Expected};
pub use content::Content;
pub use event::{Decoded, Filter, NewEvent, Recorded, StreamId, UnknownEvent, Version};
pub use log::{Altered, Alters, EventLog, LogError};
pub use memory::MemoryLog;
pub use personal::{
    KEY_AGE_MAX, MasterKeys, MemoryVault, NotASealingKey, NotOpened, Personal, ReadError, Resealed,
    SUBJECT_CATEGORY, SealingKey, Shredded, SubjectEvent, SubjectKey, Subjects, SubjectsError,
    Vault, VaultError,
};
pub use process::{
    Happened, Instance, InstanceCount, InstanceFilter, InstanceList, InstanceRow, InstanceShown,
    InstanceState, NotDone, NotTold, OperatedProcess, Process, ProcessEvent, ProcessManager,
    ProcessOperator, RunEvent, Standing, Step, Told,
};
pub use projection::{
    Difference, OperatedProjection, Projection, ProjectionError, ProjectionState, ProjectionStatus,
    RebuildStatus, Verified,
};
pub use relay::{Announcement, Relay};
pub use repository::{ExecuteError, Executed, Execution, Loaded, Repository};
pub use snapshot::{KeptState, MemorySnapshots, Snapshot, Snapshots};
pub use subscription::{
    Checkpoint, CheckpointError, CheckpointStore, MemoryCheckpoints, Page, Pages, ReplayError,
    Subscription, SubscriptionState, own_checkpoint, replay, split,
};
pub use timers::{DueTimer, TimerChange, Timers};
pub use upcast::Upcast;

pub use stanchion_messaging::{LogId, Metadata, Position};
