use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use jiff::Timestamp;

use super::{Process, ProcessEvent, RunEvent, Standing};
use crate::{Aggregate, TimerChange};

/// A message that waits for an instance to go on is tried again after so long at most.
pub(super) const RETRIED_WITHIN: Duration = Duration::from_secs(30);

/// Within so long of a resume a message that waited for it is heard: more than [`RETRIED_WITHIN`].
const HEARD_WITHIN: jiff::SignedDuration = jiff::SignedDuration::from_secs(35);

/// One instance of a process: the process itself, the definition it goes by, and whether it stands still.
///
/// This is what a [`Repository`](crate::Repository) keeps of a process. Everything is decided here, by a synchronous
/// function of what was recorded and what it is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance<P> {
    process: P,
    begun: bool,
    definition: u32,
    standing: Option<Standing>,
    paused: Option<Pause>,
    timers: BTreeMap<String, Timestamp>,
}

#[derive(Clone, Debug, PartialEq)]
struct Pause {
    reason: String,
    since: Timestamp,
}

/// What an instance of a process is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told<C> {
    /// A message or a timer, in the process's own words.
    Message(C),
    /// To stand still.
    Pause {
        /// Why.
        reason: String,
        /// The time.
        at: Timestamp,
    },
    /// To go on.
    Resume {
        /// The time.
        at: Timestamp,
    },
    /// To ask for a step again.
    Restart {
        /// Which.
        step: String,
        /// The time.
        at: Timestamp,
    },
}

impl<C> From<C> for Told<C> {
    fn from(message: C) -> Self {
        Self::Message(message)
    }
}

/// Why an instance does not do what it is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTold<R> {
    /// Nothing ever happened to it.
    #[error("there is no such instance")]
    NotBegun,
    /// It is over.
    #[error("it ended: {0}")]
    Ended(&'static str),
    /// It stands still.
    #[error("it is paused: {0}")]
    Paused(String),
    /// It began under a definition that a newer version of the code has.
    #[error("it goes by definition {0}, which only a newer version knows")]
    NewerDefinition(u32),
    /// It goes by a definition that this code has no more, and has no way to a newer one.
    #[error("it goes by definition {0}, which is no more")]
    RetiredDefinition(u32),
    /// The decision is about a step that the definition has not.
    #[error("definition {definition} has no step `{step}`")]
    UnknownStep {
        /// The step.
        step: String,
        /// The definition.
        definition: u32,
    },
    /// A step was to be asked for whose compensation is not registered.
    #[error("`{step}` would be asked for without `{compensation}` being registered")]
    NotRegistered {
        /// The step.
        step: &'static str,
        /// What would take it back.
        compensation: &'static str,
    },
    /// The step cannot be asked for again.
    #[error("{0}")]
    NoRestart(String),
    /// The decision panicked: a defect of its definition.
    #[error("the decision panicked: {0}")]
    Panicked(String),
    /// The process refused: a defect of its definition.
    #[error(transparent)]
    Refused(R),
}

type Decided<P> =
    Result<Vec<ProcessEvent<<P as Aggregate>::Event>>, NotTold<<P as Aggregate>::Refusal>>;

/// A decision, a panic of the process's code made a refusal: one instance pauses, not the rest behind it.
fn whole<T, R>(decide: impl FnOnce() -> Result<T, NotTold<R>>) -> Result<T, NotTold<R>> {
    // Nothing that a panic could leave half done outlives it: the decision works on copies.
    catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(NotTold::Panicked(text.unwrap_or_default()))
    })
}

impl<P: Process> Default for Instance<P> {
    fn default() -> Self {
        Self {
            process: P::default(),
            begun: false,
            // What began before definitions were recorded.
            definition: 1,
            standing: None,
            paused: None,
            timers: BTreeMap::new(),
        }
    }
}

impl<P: Process> Instance<P> {
    /// The process.
    #[must_use]
    pub fn process(&self) -> &P {
        &self.process
    }

    /// The definition it goes by.
    #[must_use]
    pub fn definition(&self) -> u32 {
        self.definition
    }

    /// Whether anything ever happened to it.
    #[must_use]
    pub fn begun(&self) -> bool {
        self.begun
    }

    /// Where it is; `None` before it entered its first step.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.standing
    }

    /// Why it stands still, if it does.
    #[must_use]
    pub fn paused(&self) -> Option<&str> {
        self.paused.as_ref().map(|pause| pause.reason.as_str())
    }

    /// The timers that are set, with their due times. Those of a paused instance do not run.
    #[must_use]
    pub fn timers_set(&self) -> &BTreeMap<String, Timestamp> {
        &self.timers
    }

    /// What happens when it is told something by a message or a timer.
    fn go_on(&self, command: &P::Command) -> Decided<P> {
        if let Some(pause) = &self.paused {
            return Err(NotTold::Paused(pause.reason.clone()));
        }
        let newest = *P::DEFINITIONS.end();
        let (mut after, mut events) = (self.clone(), Vec::new());
        if !self.begun {
            after.definition = newest;
        } else if self.definition > newest {
            return Err(NotTold::NewerDefinition(self.definition));
        } else if self.definition < newest {
            events = self.migrated(newest)?;
            events.iter().for_each(|event| after.evolve(event));
        }
        let own = after.process.decide_under(after.definition, command);
        let own = own.map_err(NotTold::Refused)?;
        if !self.begun && !own.is_empty() && newest > 1 {
            let definition = newest;
            events.push(ProcessEvent::Run(RunEvent::ProcessBegun { definition }));
        }
        after.checked(own, events)
    }

    /// What brings it to the newest definition; nothing if it stays with its own.
    fn migrated(&self, newest: u32) -> Decided<P> {
        let from = self.definition;
        match self.process.migrate(from) {
            Some(own) => {
                let event = RunEvent::ProcessMigrated { from, to: newest };
                let own = own.into_iter().map(ProcessEvent::Own);
                Ok(std::iter::once(ProcessEvent::Run(event))
                    .chain(own)
                    .collect())
            }
            None if P::DEFINITIONS.contains(&from) => Ok(Vec::new()),
            None => Err(NotTold::RetiredDefinition(from)),
        }
    }

    /// The events after which `own` ones follow, if these ask for nothing that could not be taken back.
    fn checked(
        mut self,
        own: Vec<P::Event>,
        mut events: Vec<ProcessEvent<P::Event>>,
    ) -> Decided<P> {
        for event in &own {
            self.take(event);
            if let Some(Standing::AtStep(step)) = P::enters(event) {
                self.require_registered(step)?;
            }
        }
        events.extend(own.into_iter().map(ProcessEvent::Own));
        Ok(events)
    }

    fn require_registered(&self, step: &'static str) -> Result<(), NotTold<P::Refusal>> {
        let steps = P::steps(self.definition);
        let Some(known) = steps.iter().find(|known| known.name == step) else {
            let (step, definition) = (step.to_owned(), self.definition);
            return Err(NotTold::UnknownStep { step, definition });
        };
        let registered = self.process.compensations();
        match known.compensation {
            Some(compensation) if !registered.contains(&compensation) => {
                Err(NotTold::NotRegistered { step, compensation })
            }
            _ => Ok(()),
        }
    }

    fn pause(&self, reason: &str, at: Timestamp) -> Decided<P> {
        match (self.begun, &self.paused) {
            (false, _) => Err(NotTold::NotBegun),
            (true, Some(_)) => Ok(Vec::new()),
            (true, None) => Ok(vec![ProcessEvent::Run(RunEvent::ProcessPaused {
                reason: reason.to_owned(),
                at,
                timers: self.timers.clone(),
            })]),
        }
    }

    fn resume(&self, at: Timestamp) -> Decided<P> {
        match (self.begun, &self.paused) {
            (false, _) => Err(NotTold::NotBegun),
            (true, None) => Ok(Vec::new()),
            (true, Some(pause)) => {
                let stood = at.duration_since(pause.since);
                // Not before what waited was tried again: it may be the answer that the timer is about.
                let least = at.saturating_add(HEARD_WITHIN).unwrap_or(Timestamp::MAX);
                let later = |due: &Timestamp| {
                    let due = due.saturating_add(stood).unwrap_or(Timestamp::MAX);
                    due.max(least)
                };
                let timers = self.timers.iter();
                let timers = timers.map(|(name, due)| (name.clone(), later(due)));
                let timers = timers.collect();
                Ok(vec![ProcessEvent::Run(RunEvent::ProcessResumed {
                    at,
                    timers,
                })])
            }
        }
    }

    fn restart(&self, step: &str, at: Timestamp) -> Decided<P> {
        match self.standing {
            _ if !self.begun => return Err(NotTold::NotBegun),
            Some(Standing::Ended(outcome)) => return Err(NotTold::Ended(outcome)),
            _ => {}
        }
        if self.definition > *P::DEFINITIONS.end() {
            return Err(NotTold::NewerDefinition(self.definition));
        }
        let own = self.process.restart(step, at).map_err(NotTold::NoRestart)?;
        let restarted = ProcessEvent::Run(RunEvent::ProcessRestarted {
            step: step.to_owned(),
            at,
            timers: self.timers.keys().cloned().collect(),
        });
        let mut after = self.clone();
        after.evolve(&restarted);
        after.checked(own, vec![restarted])
    }

    /// Takes in an event of the process's own.
    fn take(&mut self, event: &P::Event) {
        self.process.evolve(event);
        self.standing = P::enters(event).or(self.standing);
        for change in P::timers(event) {
            match change {
                TimerChange::Set { name, due_at } => self.timers.insert(name, due_at),
                TimerChange::Clear { name } => self.timers.remove(&name),
            };
        }
    }

    fn run(&mut self, event: &RunEvent) {
        match event {
            RunEvent::ProcessBegun { definition: to } | RunEvent::ProcessMigrated { to, .. } => {
                self.definition = *to;
            }
            RunEvent::ProcessPaused { reason, at, .. } => {
                let (reason, since) = (reason.clone(), *at);
                self.paused = Some(Pause { reason, since });
            }
            RunEvent::ProcessResumed { timers, .. } => {
                self.paused = None;
                self.timers.clone_from(timers);
            }
            RunEvent::ProcessRestarted { .. } => {
                self.paused = None;
                self.timers.clear();
            }
        }
    }
}

impl<P: Process> Aggregate for Instance<P> {
    const CATEGORY: &'static str = P::CATEGORY;
    type Command = Told<P::Command>;
    type Event = ProcessEvent<P::Event>;
    type Refusal = NotTold<P::Refusal>;

    fn decide(&self, told: &Told<P::Command>) -> Decided<P> {
        match told {
            Told::Message(command) => whole(|| self.go_on(command)),
            Told::Pause { reason, at } => self.pause(reason, *at),
            Told::Resume { at } => self.resume(*at),
            Told::Restart { step, at } => whole(|| self.restart(step, *at)),
        }
    }

    fn evolve(&mut self, event: &ProcessEvent<P::Event>) {
        self.begun = true;
        match event {
            ProcessEvent::Own(event) => self.take(event),
            ProcessEvent::Run(event) => self.run(event),
        }
    }

    fn timers(event: &ProcessEvent<P::Event>) -> Vec<TimerChange> {
        let clear = |name: &String| TimerChange::Clear { name: name.clone() };
        match event {
            ProcessEvent::Own(event) => P::timers(event),
            ProcessEvent::Run(RunEvent::ProcessPaused { timers, .. }) => {
                timers.keys().map(clear).collect()
            }
            ProcessEvent::Run(RunEvent::ProcessRestarted { timers, .. }) => {
                timers.iter().map(clear).collect()
            }
            ProcessEvent::Run(RunEvent::ProcessResumed { timers, .. }) => {
                let set = |(name, due_at): (&String, &Timestamp)| TimerChange::Set {
                    name: name.clone(),
                    due_at: *due_at,
                };
                timers.iter().map(set).collect()
            }
            ProcessEvent::Run(_) => Vec::new(),
        }
    }
}
