use jiff::Timestamp;
use stanchion::eventsourcing::Position;
use uuid::Uuid;

/// How one is, for whoever shows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) closed: bool,
    /// Counts the changes, from 0.
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// How one is after a write, and where the write is in the log.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) seen: Seen,
    pub(crate) position: Option<Position>,
}
