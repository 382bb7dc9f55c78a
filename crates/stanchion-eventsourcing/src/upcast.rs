//! Old shapes of events, brought to today's when they are read.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most steps from an old shape to today's.
const STEPS_MAX: usize = 64;

/// One step from an old shape to the next one; made by [`upcasts!`](crate::upcasts).
#[derive(Clone, Copy, Debug)]
pub struct Upcast {
    /// The type under which the old shape was stored.
    pub from: &'static str,
    /// The type it becomes: today's, or one from which another step leads on.
    pub to: &'static str,
    /// What its content becomes.
    pub with: fn(Value) -> Result<Value, serde_json::Error>,
}

/// An event as the log keeps it: its type and its content.
#[derive(Debug, Serialize, Deserialize)]
#[doc(hidden)]
pub struct Stored {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

impl Stored {
    /// Takes the steps that lead from what is stored to today's shape.
    #[doc(hidden)]
    pub fn upcast(mut self, steps: &[Upcast]) -> Result<Value, serde_json::Error> {
        use serde::de::Error as _;
        for _ in 0..STEPS_MAX {
            let Some(step) = steps.iter().find(|step| step.from == self.kind) else {
                return serde_json::to_value(self);
            };
            self.data = (step.with)(self.data).map_err(|error| {
                let (from, to) = (step.from, step.to);
                serde_json::Error::custom(format!("from {from} to {to}: {error}"))
            })?;
            step.to.clone_into(&mut self.kind);
        }
        Err(serde_json::Error::custom(format!(
            "the steps from {} never end",
            self.kind
        )))
    }
}

#[doc(hidden)]
pub mod private {
    pub use serde;
    pub use serde_json;
}

/// Reads old shapes of an event enum as today's, wherever it is decoded.
///
/// Every shape has a type of its own: a change that old events do not fit (a field renamed, split, of
/// another meaning) gives the variant a new type with `#[serde(rename = "placed.v2")]`, and a step
/// here leads from the old type to the new one. Steps chain and are pure; each goes from one struct
/// to the next. They are part of the enum's `Deserialize`, so no reader can forget them: repository,
/// projection, relay and process manager all read today's shape. What is stored stays as it is.
/// Fields that were only added need no step: `#[serde(default)]`. A [`Filter`](crate::Filter) on
/// types names the stored types, the old ones too.
///
/// The enum derives `Serialize` and `Deserialize` with `#[serde(remote = "Self")]`; the macro
/// writes the two traits around them.
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// #[serde(tag = "type", content = "data", rename_all = "snake_case", remote = "Self")]
/// enum OrderEvent {
///     #[serde(rename = "placed.v3")]
///     Placed(Placed),
///     Shipped,
/// }
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Placed { minor: i64, currency: String }
/// #[derive(Serialize, Deserialize)]
/// struct PlacedV2 { cents: i64 }
/// #[derive(Deserialize)]
/// struct PlacedV1 { euros: i64 }
///
/// stanchion_eventsourcing::upcasts! { OrderEvent {
///     "placed" => "placed.v2": |old: PlacedV1| PlacedV2 { cents: old.euros * 100 },
///     "placed.v2" => "placed.v3": |old: PlacedV2| Placed { minor: old.cents, currency: "EUR".into() },
/// } }
///
/// let stored = r#"{"type": "placed", "data": {"euros": 5}}"#;
/// let read: OrderEvent = serde_json::from_str(stored)?;
/// assert_eq!(read, OrderEvent::Placed(Placed { minor: 500, currency: "EUR".into() }));
/// assert_eq!(serde_json::from_str::<OrderEvent>(r#"{"type": "shipped"}"#)?, OrderEvent::Shipped);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[macro_export]
macro_rules! upcasts {
    ($event:ty { $($from:literal => $to:literal : $with:expr),+ $(,)? }) => {
        impl $crate::upcast::private::serde::Serialize for $event {
            fn serialize<S: $crate::upcast::private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                <$event>::serialize(self, serializer)
            }
        }

        impl<'de> $crate::upcast::private::serde::Deserialize<'de> for $event {
            fn deserialize<D: $crate::upcast::private::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                use $crate::upcast::private::{serde::de::Error as _, serde_json};
                const STEPS: &[$crate::Upcast] = &[$($crate::Upcast {
                    from: $from,
                    to: $to,
                    with: |data| serde_json::to_value(($with)(serde_json::from_value(data)?)),
                }),+];
                let stored = <$crate::upcast::Stored as $crate::upcast::private::serde::Deserialize>::deserialize(deserializer)?;
                let today = stored.upcast(STEPS).map_err(D::Error::custom)?;
                <$event>::deserialize(today).map_err(D::Error::custom)
            }
        }
    };
}
