//! Given/when/then for aggregates: no log, no runtime, only decisions.
//!
//! ```
//! # use serde::{Deserialize, Serialize};
//! # use stanchion_eventsourcing::{Aggregate, testing::given};
//! # #[derive(Default, Clone)] struct Door { open: bool }
//! # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
//! # #[serde(tag = "type", content = "data", rename_all = "snake_case")]
//! # enum DoorEvent { Opened, Closed }
//! # #[derive(Debug, PartialEq, thiserror::Error)]
//! # #[error("the door is open already")] struct AlreadyOpen;
//! # enum DoorCommand { Open }
//! # impl Aggregate for Door {
//! #     const CATEGORY: &'static str = "door";
//! #     type Command = DoorCommand; type Event = DoorEvent; type Refusal = AlreadyOpen;
//! #     fn decide(&self, _: &DoorCommand) -> Result<Vec<DoorEvent>, AlreadyOpen> {
//! #         if self.open { Err(AlreadyOpen) } else { Ok(vec![DoorEvent::Opened]) }
//! #     }
//! #     fn evolve(&mut self, event: &DoorEvent) { self.open = *event == DoorEvent::Opened; }
//! # }
//! given::<Door>([DoorEvent::Closed]).when(DoorCommand::Open).then([DoorEvent::Opened]);
//! given::<Door>([DoorEvent::Opened]).when(DoorCommand::Open).then_refused(AlreadyOpen);
//! ```

mod registry;

use std::fmt::Debug;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::registry::Registry;

use crate::{Aggregate, Instance, Process, ProcessEvent};

/// An aggregate with a past.
#[derive(Clone)]
pub struct Given<A> {
    state: A,
}

/// An aggregate that was asked something.
pub struct When<A: Aggregate> {
    state: A,
    outcome: Result<Vec<A::Event>, A::Refusal>,
}

/// Starts with what happened before.
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let mut state = A::default();
    for event in events {
        state.evolve(&event);
    }
    Given { state }
}

/// Starts with what happened before to an instance of a process; it began under the first definition unless the events
/// say otherwise.
pub fn given_instance<P: Process>(
    events: impl IntoIterator<Item = ProcessEvent<P::Event>>,
) -> Given<Instance<P>> {
    given(events)
}

impl<A: Aggregate> Given<A> {
    /// Asks it.
    pub fn when(self, command: A::Command) -> When<A> {
        let outcome = self.state.decide(&command);
        let mut state = self.state;
        for event in outcome.iter().flatten() {
            state.evolve(event);
        }
        When { state, outcome }
    }

    /// Looks at the state.
    pub fn state(&self) -> &A {
        &self.state
    }
}

impl<A: Aggregate> When<A>
where
    A::Event: Debug + PartialEq,
    A::Refusal: Debug + PartialEq,
{
    /// Expects exactly these events; returns the aggregate for the next question.
    ///
    /// # Panics
    /// Other events, or a refusal.
    #[track_caller]
    pub fn then(self, events: impl IntoIterator<Item = A::Event>) -> Given<A> {
        let expected: Vec<A::Event> = events.into_iter().collect();
        assert_eq!(self.outcome, Ok(expected));
        Given { state: self.state }
    }

    /// Expects that nothing happens.
    ///
    /// # Panics
    /// Events, or a refusal.
    #[track_caller]
    pub fn then_nothing(self) -> Given<A> {
        self.then([])
    }

    /// Expects this refusal.
    ///
    /// # Panics
    /// Events, or another refusal.
    #[track_caller]
    pub fn then_refused(self, refusal: A::Refusal) {
        assert_eq!(self.outcome, Err(refusal));
    }
}

/// Proves that events which were stored once are still read: one JSON file each in `folder`.
///
/// A file holds what the log holds, `{"type": …, "data": …}`, and beside it under `reads_as` the
/// event as it is written today. A file without `reads_as` is of today's shape: reading and writing
/// it changes nothing, so a change of a stored shape fails here before it meets a log. Files are
/// added and never changed.
///
/// # Panics
/// A file that is read as something else, or not at all; an empty folder.
#[track_caller]
pub fn stored_events_are_read<E: Serialize + DeserializeOwned>(folder: impl AsRef<Path>) {
    let folder = folder.as_ref();
    let files = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let paths = files.map(|file| file.expect("a folder can be read").path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no stored events in {folder:?}");
    for path in paths {
        stored_event_is_read::<E>(&path);
    }
}

#[track_caller]
fn stored_event_is_read<E: Serialize + DeserializeOwned>(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let mut stored: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let reads_as = stored
        .as_object_mut()
        .and_then(|fields| fields.remove("reads_as"));
    let expected = reads_as.unwrap_or_else(|| stored.clone());
    let event =
        E::deserialize(stored).unwrap_or_else(|error| panic!("{path:?} is not read: {error}"));
    let written = serde_json::to_value(&event)
        .unwrap_or_else(|error| panic!("{path:?} is not written: {error}"));
    assert_eq!(written, expected, "{path:?} is read as something else");
}
