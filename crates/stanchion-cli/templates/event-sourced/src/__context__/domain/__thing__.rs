//! A __thing_words__: opened, renamed, closed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stanchion::eventsourcing::Aggregate;

/// The longest name, in characters.
pub(crate) const NAME_CHARS_MAX: usize = 200;

/// What the decisions need to know; none before it is opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct __Thing__ {
    pub(crate) current: Option<Current>,
}

/// How it is now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Current {
    pub(crate) name: String,
    pub(crate) closed: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// What it can be told.
#[derive(Clone, Debug)]
pub(crate) enum __Thing__Command {
    Open { name: String, at: Timestamp },
    Rename { name: String, at: Timestamp },
    Close { at: Timestamp },
    // <commands>
    // </commands>
}

/// What happened. In the log for ever: never changed, only added to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub(crate) enum __Thing__Event {
    Opened { name: String, at: Timestamp },
    Renamed { name: String, at: Timestamp },
    Closed { at: Timestamp },
    // <events>
    // </events>
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum __Thing__Refusal {
    #[error("there is no such __thing_words__")]
    Unknown,
    #[error("it is open already")]
    AlreadyOpen,
    #[error("it is closed")]
    Closed,
}

impl __Thing__ {
    fn open(&self) -> Result<&Current, __Thing__Refusal> {
        let current = self.current.as_ref().ok_or(__Thing__Refusal::Unknown)?;
        if current.closed {
            return Err(__Thing__Refusal::Closed);
        }
        Ok(current)
    }
}

impl Aggregate for __Thing__ {
    const CATEGORY: &'static str = "__thing__";
    type Command = __Thing__Command;
    type Event = __Thing__Event;
    type Refusal = __Thing__Refusal;

    /// No events mean "that is done already", which makes a repeat harmless.
    fn decide(&self, command: &__Thing__Command) -> Result<Vec<__Thing__Event>, __Thing__Refusal> {
        Ok(match command {
            __Thing__Command::Open { .. } if self.current.is_some() => {
                return Err(__Thing__Refusal::AlreadyOpen);
            }
            __Thing__Command::Open { name, at } => vec![__Thing__Event::Opened {
                name: name.clone(),
                at: *at,
            }],
            __Thing__Command::Rename { name, at } if self.open()?.name != *name => {
                vec![__Thing__Event::Renamed {
                    name: name.clone(),
                    at: *at,
                }]
            }
            __Thing__Command::Rename { .. } => vec![],
            __Thing__Command::Close { at } => match self.open() {
                Ok(_) => vec![__Thing__Event::Closed { at: *at }],
                Err(__Thing__Refusal::Closed) => vec![],
                Err(refusal) => return Err(refusal),
            },
            // <decide>
            // </decide>
        })
    }

    fn evolve(&mut self, event: &__Thing__Event) {
        match event {
            __Thing__Event::Opened { name, at } => {
                self.current = Some(Current {
                    name: name.clone(),
                    closed: false,
                    created_at: *at,
                    updated_at: *at,
                });
            }
            __Thing__Event::Renamed { name, at } => self.change(*at, |now| now.name.clone_from(name)),
            __Thing__Event::Closed { at } => self.change(*at, |now| now.closed = true),
            // <evolve>
            // </evolve>
        }
    }
}

impl __Thing__ {
    fn change(&mut self, at: Timestamp, change: impl FnOnce(&mut Current)) {
        if let Some(current) = &mut self.current {
            change(current);
            current.updated_at = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use stanchion::eventsourcing::testing::given;

    use super::{__Thing__, __Thing__Command, __Thing__Event, __Thing__Refusal};
    use jiff::Timestamp;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn opened() -> __Thing__Event {
        __Thing__Event::Opened {
            name: "one".into(),
            at: NOW,
        }
    }

    #[test]
    fn it_is_opened_once() {
        let open = || __Thing__Command::Open {
            name: "one".into(),
            at: NOW,
        };
        given::<__Thing__>([]).when(open()).then([opened()]);
        given::<__Thing__>([opened()])
            .when(open())
            .then_refused(__Thing__Refusal::AlreadyOpen);
    }

    #[test]
    fn closing_twice_is_the_same_as_once() {
        given::<__Thing__>([opened()])
            .when(__Thing__Command::Close { at: NOW })
            .then([__Thing__Event::Closed { at: NOW }])
            .when(__Thing__Command::Close { at: NOW })
            .then_nothing();
    }

    #[test]
    fn what_is_closed_keeps_its_name() {
        given::<__Thing__>([opened(), __Thing__Event::Closed { at: NOW }])
            .when(__Thing__Command::Rename {
                name: "two".into(),
                at: NOW,
            })
            .then_refused(__Thing__Refusal::Closed);
    }
}
