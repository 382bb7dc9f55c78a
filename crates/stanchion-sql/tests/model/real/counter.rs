//! The aggregate of all programs, in three shapes of its event.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stanchion_eventsourcing::{Aggregate, NewEvent, Snapshot};
use stanchion_runtime::id;

use crate::model::plain::FULL;
use crate::model::program::Shape;

/// All streams of all programs in one store are of this category or the other one.
pub(super) const FIRST: &str = "counter_first";

#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Counter<const FIRST_STREAM: bool> {
    pub(super) count: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", remote = "Self")]
pub(super) enum Event {
    #[serde(rename = "counted.v3")]
    Counted { by: i64 },
}

#[derive(Deserialize)]
struct CountedV1 {
    tens: i64,
}

#[derive(Serialize, Deserialize)]
struct CountedV2 {
    number: i64,
}

#[derive(Serialize)]
struct Counted {
    by: i64,
}

stanchion_eventsourcing::upcasts! { Event {
    "counted" => "counted.v2": |old: CountedV1| CountedV2 { number: old.tens * 10 },
    "counted.v2" => "counted.v3": |old: CountedV2| Counted { by: old.number },
} }

#[derive(Debug, thiserror::Error)]
#[error("full")]
pub(super) struct Full;

impl<const FIRST_STREAM: bool> Aggregate for Counter<FIRST_STREAM> {
    const CATEGORY: &'static str = if FIRST_STREAM { FIRST } else { "counter" };
    type Command = i64;
    type Event = Event;
    type Refusal = Full;

    fn decide(&self, by: &i64) -> Result<Vec<Event>, Full> {
        match *by {
            by if self.count + by > FULL => Err(Full),
            0 => Ok(vec![]),
            by => Ok(vec![Event::Counted { by }]),
        }
    }

    fn evolve(&mut self, Event::Counted { by }: &Event) {
        self.count += by;
    }
}

impl<const FIRST_STREAM: bool> Snapshot for Counter<FIRST_STREAM> {
    const SCHEMA: i64 = 1;
}

pub(super) fn new_event(shape: Shape) -> NewEvent {
    let data: Value = match shape {
        Shape::Counted(by) => json!({ "by": by }),
        Shape::CountedV1(tens) => json!({ "tens": tens }),
        Shape::CountedV2(number) => json!({ "number": number }),
    };
    NewEvent {
        id: id::new_v7(),
        kind: shape.kind().into(),
        data: data.into(),
    }
}
