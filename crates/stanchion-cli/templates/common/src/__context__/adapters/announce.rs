//! What others are told: a pure function from what happened to contracts.

use stanchion::eventsourcing::{Announcement, Recorded, UnknownEvent};

/// It sees every entry of the log and must know each: an entry that it refuses stops it there.
///
/// Nothing is announced yet. A contract is a type with a name and a version for ever, `Announcement::of(&it)`.
pub(crate) fn announce(recorded: &Recorded) -> Result<Vec<Announcement>, UnknownEvent> {
    match recorded.stream.category() {
        "__thing__" => Ok(vec![]),
        // <announce>
        // </announce>
        other => Err(UnknownEvent(format!("__context__ has no category `{other}`"))),
    }
}
