//! The states and their changes.

use std::fmt;

/// Where a breaker stands. A *closed* one lets calls through, as in electricity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Calls go out and are counted.
    Closed,
    /// Calls are refused until the open time is over.
    Open,
    /// A few probes go out; they decide.
    HalfOpen,
    /// An operator refuses every call.
    ForcedOpen,
    /// An operator lets every call out.
    ForcedClosed,
}

/// A change of state, as a listener is told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The state before.
    pub from: State,
    /// The state since.
    pub to: State,
    /// How many states the breaker has been in, this one included.
    pub generation: u64,
}

impl State {
    /// Its name as a metric's label and in logs.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Open => "open",
            State::HalfOpen => "half_open",
            State::ForcedOpen => "forced_open",
            State::ForcedClosed => "forced_closed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// State and generation in the one word that a call loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    pub(super) fn new(state: State, generation: u64) -> Self {
        Word(generation << 3 | state as u64)
    }

    pub(super) fn state(self) -> State {
        match self.0 & 7 {
            0 => State::Closed,
            1 => State::Open,
            2 => State::HalfOpen,
            3 => State::ForcedOpen,
            _ => State::ForcedClosed,
        }
    }

    pub(super) fn generation(self) -> u64 {
        self.0 >> 3
    }
}
