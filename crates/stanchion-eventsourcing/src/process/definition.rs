use std::ops::RangeInclusive;

use jiff::Timestamp;

use crate::Aggregate;

/// One step of a process's definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name, for the operator: in lists, in restarts.
    pub name: &'static str,
    /// What takes it back; `None` for a step with nothing to take back.
    pub compensation: Option<&'static str>,
}

impl Step {
    /// A step with nothing to take back.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        let compensation = None;
        Self { name, compensation }
    }

    /// What takes it back, registered before anybody is asked for the step.
    #[must_use]
    pub const fn compensated_by(mut self, compensation: &'static str) -> Self {
        self.compensation = Some(compensation);
        self
    }
}

/// Where an instance of a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It asked for this step and waits for the answer.
    AtStep(&'static str),
    /// It was turned round, and waits for what was done to be undone.
    Compensating,
    /// It is over: how it ended, in a word.
    Ended(&'static str),
}

/// An aggregate that is a process: its steps, and what an operator may do with one instance of it.
///
/// What it does next is [`decide`](Aggregate::decide): synchronous, of state and message alone, with an answer to every
/// pair of them, late and repeated messages too. Kept in a [`Repository`](crate::Repository) of [`Instance`](crate::Instance)s and run by a
/// [`ProcessManager`](crate::ProcessManager::managed), an instance remembers the definition it began under, pauses at what
/// it cannot decide, and is paused, resumed and restarted by an operator.
pub trait Process: Aggregate {
    /// The definitions that this code can run, oldest first. New instances begin under the last one; others go on by
    /// the one they began under, or are [migrated](Process::migrate). One only, 1, unless given.
    ///
    /// The first definition of a process is 1: that is what an instance began under that recorded none.
    const DEFINITIONS: RangeInclusive<u32> = 1..=1;

    /// The steps of a definition, in order.
    fn steps(definition: u32) -> &'static [Step];

    /// Where an event takes an instance; `None` if it stays where it is.
    fn enters(event: &Self::Event) -> Option<Standing>;

    /// What would be undone if the instance turned round now, asked for and not answered included.
    ///
    /// A decision that asks for a [step](Step) whose compensation is not among these afterwards is not recorded: the
    /// instance pauses, and nobody is asked for anything.
    fn compensations(&self) -> Vec<&'static str>;

    /// Decides by the definition that the instance goes by. By default there is only one way to decide.
    ///
    /// # Errors
    /// The refusal: a defect, which pauses the instance.
    fn decide_under(
        &self,
        _definition: u32,
        command: &Self::Command,
    ) -> Result<Vec<Self::Event>, Self::Refusal> {
        self.decide(command)
    }

    /// Brings an instance from the definition it goes by to the newest one, before it is told the next thing: what it
    /// has to record for that, perhaps nothing. `None`, the default: it stays with its own.
    fn migrate(&self, _from: u32) -> Option<Vec<Self::Event>> {
        None
    }

    /// Puts the instance back to a step that it was at, or is at: what is to be recorded so that the step is asked for
    /// again. Whoever is asked hears it as a new message, and must deal with a repeat.
    ///
    /// # Errors
    /// Why it cannot: by default there is no way back.
    fn restart(&self, step: &str, _at: Timestamp) -> Result<Vec<Self::Event>, String> {
        Err(format!("this process has no way back to `{step}`"))
    }
}
