use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::Content;
use crate::content::Tagged;

/// What happened to an instance of a process: an event of its own, or one of how it is run.
///
/// Both stand in the same stream. In the log an own event looks as if it were alone, so a process that becomes a managed
/// one reads what it recorded before. The types `process_begun`, `process_migrated`, `process_paused`,
/// `process_resumed` and `process_restarted` are taken.
#[derive(Clone, Debug, PartialEq)]
pub enum ProcessEvent<E> {
    /// The process's own.
    Own(E),
    /// How it is run; nothing to announce.
    Run(RunEvent),
}

/// How an instance of a process is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum RunEvent {
    /// It began under a definition; not recorded for the first one.
    ProcessBegun {
        /// Which.
        definition: u32,
    },
    /// It goes by another definition from here on.
    ProcessMigrated {
        /// The one before.
        from: u32,
        /// The one after.
        to: u32,
    },
    /// It stands still: messages wait, timers do not run.
    ProcessPaused {
        /// Why.
        reason: String,
        /// Since when.
        at: Timestamp,
        /// The timers that were running; their rows are cleared with this.
        timers: BTreeMap<String, Timestamp>,
    },
    /// It goes on.
    ProcessResumed {
        /// Since when.
        at: Timestamp,
        /// The timers that run again, later by as long as it stood still.
        timers: BTreeMap<String, Timestamp>,
    },
    /// It was put back to a step; a pause is over with it.
    ProcessRestarted {
        /// Which.
        step: String,
        /// When.
        at: Timestamp,
        /// The timers that are over: the step sets its own.
        timers: Vec<String>,
    },
}

/// The types of [`RunEvent`], as stored.
const RUN_TYPES: [&str; 5] = [
    "process_begun",
    "process_migrated",
    "process_paused",
    "process_resumed",
    "process_restarted",
];

impl<E> ProcessEvent<E> {
    /// The process's own event, if it is one: what there may be to announce.
    pub fn own(self) -> Option<E> {
        match self {
            Self::Own(event) => Some(event),
            Self::Run(_) => None,
        }
    }
}

impl<E: Serialize> Serialize for ProcessEvent<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Own(event) => event.serialize(serializer),
            Self::Run(event) => event.serialize(serializer),
        }
    }
}

/// An event as it is stored, its content as it stands.
#[derive(Deserialize)]
struct Apart {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Option<Box<RawValue>>,
}

impl<'de, E: DeserializeOwned> Deserialize<'de> for ProcessEvent<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Apart { kind, data } = Apart::deserialize(deserializer)?;
        let data = data.map_or_else(Content::null, Content::from);
        let stored = Tagged::new(&kind, &data);
        let event = if RUN_TYPES.contains(&kind.as_str()) {
            RunEvent::deserialize(stored).map(Self::Run)
        } else {
            E::deserialize(stored).map(Self::Own)
        };
        event.map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::NewEvent;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data", rename_all = "snake_case")]
    enum Own {
        Placed { cents: i64 },
        Shipped,
    }

    fn back(event: &ProcessEvent<Own>) -> ProcessEvent<Own> {
        let new = NewEvent::of(event).unwrap();
        ProcessEvent::deserialize(Tagged::new(&new.kind, &new.data)).unwrap()
    }

    #[test]
    fn own_events_are_stored_as_if_they_were_alone() {
        for own in [Own::Placed { cents: 5 }, Own::Shipped] {
            let event = ProcessEvent::Own(own.clone());
            assert_eq!(
                NewEvent::of(&event).unwrap().kind,
                NewEvent::of(&own).unwrap().kind
            );
            assert_eq!(back(&event), event);
            let value = serde_json::to_value(&event).unwrap();
            assert_eq!(
                serde_json::from_value::<ProcessEvent<Own>>(value).unwrap(),
                event
            );
        }
    }

    #[test]
    fn how_it_is_run_is_stored_in_words_that_never_change() {
        let timers = BTreeMap::from([("step".to_owned(), Timestamp::UNIX_EPOCH)]);
        let (at, step) = (Timestamp::UNIX_EPOCH, "pay".to_owned());
        let (reason, epoch) = ("why".to_owned(), "1970-01-01T00:00:00Z");
        let names = vec!["step".to_owned()];
        let cases = [
            (
                RunEvent::ProcessBegun { definition: 2 },
                json!({"type": "process_begun", "data": {"definition": 2}}),
            ),
            (
                RunEvent::ProcessMigrated { from: 1, to: 2 },
                json!({"type": "process_migrated", "data": {"from": 1, "to": 2}}),
            ),
            (
                RunEvent::ProcessPaused {
                    reason,
                    at,
                    timers: timers.clone(),
                },
                json!({"type": "process_paused", "data": {"reason": "why", "at": epoch, "timers": {"step": epoch}}}),
            ),
            (
                RunEvent::ProcessResumed { at, timers },
                json!({"type": "process_resumed", "data": {"at": epoch, "timers": {"step": epoch}}}),
            ),
            (
                RunEvent::ProcessRestarted {
                    step,
                    at,
                    timers: names,
                },
                json!({"type": "process_restarted", "data": {"step": "pay", "at": epoch, "timers": ["step"]}}),
            ),
        ];
        assert_eq!(cases.len(), RUN_TYPES.len());
        for ((event, stored), kind) in cases.into_iter().zip(RUN_TYPES) {
            assert_eq!(stored["type"], kind);
            let event = ProcessEvent::<Own>::Run(event);
            assert_eq!(serde_json::to_value(&event).unwrap(), stored);
            assert_eq!(back(&event), event);
        }
    }
}
