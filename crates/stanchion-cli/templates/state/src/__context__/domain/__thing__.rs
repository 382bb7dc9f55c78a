//! A __thing_words__: opened, renamed, closed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest name, in characters.
pub(crate) const NAME_CHARS_MAX: usize = 200;

/// How it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct __Thing__ {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) closed: bool,
    /// Counts the changes, from 0.
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// What others may know. In the log for ever: never changed, only added to, and without personal data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub(crate) enum __Thing__Event {
    Opened { id: Uuid },
    Renamed { id: Uuid },
    Closed { id: Uuid },
    // <events>
    // </events>
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum __Thing__Refusal {
    #[error("there is no such __thing_words__")]
    Unknown,
    #[error("it is closed")]
    Closed,
}

impl __Thing__ {
    pub(crate) fn open(id: Uuid, name: String, at: Timestamp) -> (Self, __Thing__Event) {
        let opened = Self {
            id,
            name,
            closed: false,
            version: 0,
            created_at: at,
            updated_at: at,
        };
        (opened, __Thing__Event::Opened { id })
    }

    /// No event means "that is done already", which makes a repeat harmless.
    pub(crate) fn rename(
        &mut self,
        name: String,
        at: Timestamp,
    ) -> Result<Option<__Thing__Event>, __Thing__Refusal> {
        if self.closed {
            return Err(__Thing__Refusal::Closed);
        }
        if self.name == name {
            return Ok(None);
        }
        self.name = name;
        self.changed(at);
        Ok(Some(__Thing__Event::Renamed { id: self.id }))
    }

    /// Twice is the same as once.
    pub(crate) fn close(&mut self, at: Timestamp) -> Option<__Thing__Event> {
        if self.closed {
            return None;
        }
        self.closed = true;
        self.changed(at);
        Some(__Thing__Event::Closed { id: self.id })
    }

    // <methods>
    // </methods>

    fn changed(&mut self, at: Timestamp) {
        self.version += 1;
        self.updated_at = at;
    }
}

#[cfg(test)]
mod tests {
    use super::{__Thing__, __Thing__Refusal};
    use jiff::Timestamp;
    use uuid::Uuid;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn closing_twice_is_the_same_as_once() {
        let (mut it, _) = __Thing__::open(Uuid::nil(), "one".into(), NOW);
        assert!(it.close(NOW).is_some());
        assert!(it.close(NOW).is_none());
        assert_eq!(it.version, 1);
    }

    #[test]
    fn what_is_closed_keeps_its_name() {
        let (mut it, _) = __Thing__::open(Uuid::nil(), "one".into(), NOW);
        it.close(NOW);
        assert_eq!(it.rename("two".into(), NOW), Err(__Thing__Refusal::Closed));
        assert_eq!(it.name, "one");
    }
}
