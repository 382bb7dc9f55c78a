use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Instance, InstanceFilter, InstanceList, InstanceRow, InstanceState, Process, Standing, Told,
};
use crate::{
    Content, ExecuteError, Loaded, LogError, Metadata, Position, Recorded, Repository, Version,
};

/// Events of an instance that are shown at most: the first ones.
const HISTORY_MAX: usize = 1_000;

/// What an operator does with the instances of a process, whatever keeps them.
///
/// Pausing, resuming and restarting are events in the instance's stream: durable, and obeyed by whichever process runs
/// it. Errors are sentences for the operator.
#[async_trait]
pub trait OperatedProcess: Send + Sync {
    /// The process's name: its category.
    fn name(&self) -> &'static str;

    /// Instances that have not ended, those that nothing happened to for longest first.
    async fn list(&self, filter: &InstanceFilter) -> Result<Vec<InstanceRow>, String>;

    /// One instance, whole, ended or not; `None` if there is none.
    async fn show(&self, id: &str) -> Result<Option<InstanceShown>, String>;

    /// Has it stand still: messages wait, timers stop. One that stands still already stays as it is.
    async fn pause(&self, id: &str, reason: &str) -> Result<(), NotDone>;

    /// Has it go on where it stood; its timers run out later by as long as it stood still. What waited is tried again
    /// when its retry is due, after 30 s at most.
    async fn resume(&self, id: &str) -> Result<(), NotDone>;

    /// Asks for a step again, and has it go on from there.
    async fn restart(&self, id: &str, step: &str) -> Result<(), NotDone>;
}

/// Why an operator's wish was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// There is no such instance.
    #[error("there is no such instance")]
    NoSuch,
    /// It cannot be done.
    #[error("{0}")]
    Refused(String),
    /// The log cannot be reached; trying again later may help.
    #[error("{0}")]
    Unavailable(String),
}

/// An instance of a process, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceShown {
    /// Which process.
    pub process: String,
    /// Which instance.
    pub id: String,
    /// The definition it goes by.
    pub definition: u32,
    /// What it is doing.
    pub state: InstanceState,
    /// The step it waits at, or how it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Why it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its timers, with their due times; those of a paused one do not run.
    pub timers: BTreeMap<String, Timestamp>,
    /// What would be undone if it turned round now.
    pub compensations: Vec<String>,
    /// The steps of its definition, in order; none of a definition that this code does not know.
    pub steps: Vec<String>,
    /// What happened to it, oldest first, at most 1,000 events.
    pub history: Vec<Happened>,
    /// Whether there are more.
    pub more: bool,
}

/// An event of an instance, as the log keeps it: what is sealed stays sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Happened {
    /// Its place in the instance's stream.
    pub version: i64,
    /// Its place in the log.
    pub position: Position,
    /// When it was recorded.
    pub at: Timestamp,
    /// Its type.
    pub event: String,
    /// Its content.
    pub data: Content,
}

/// The operator's hand on the process `P`.
pub struct ProcessOperator<P: Process> {
    repository: Arc<Repository<Instance<P>>>,
    list: Arc<dyn InstanceList>,
}

impl<P: Process> ProcessOperator<P> {
    /// On the instances in that repository, found by that list.
    #[must_use]
    pub fn new(repository: Arc<Repository<Instance<P>>>, list: Arc<dyn InstanceList>) -> Self {
        Self { repository, list }
    }

    async fn tell(&self, id: &str, told: Told<P::Command>) -> Result<(), NotDone> {
        let metadata = Metadata::new(None);
        match self.repository.execute(id, &told, &metadata).await {
            Ok(_) => Ok(()),
            Err(ExecuteError::Refused(super::NotTold::NotBegun)) => Err(NotDone::NoSuch),
            Err(ExecuteError::Refused(refusal)) => Err(NotDone::Refused(refusal.to_string())),
            Err(error) => Err(NotDone::Unavailable(error.to_string())),
        }
    }

    fn shown(id: &str, loaded: &Instance<P>, history: Vec<Recorded>) -> InstanceShown {
        let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        let steps = match P::DEFINITIONS.contains(&loaded.definition()) {
            true => P::steps(loaded.definition())
                .iter()
                .map(|step| step.name)
                .collect(),
            false => Vec::new(),
        };
        let (state, step) = place(loaded);
        InstanceShown {
            process: P::CATEGORY.to_owned(),
            id: id.to_owned(),
            definition: loaded.definition(),
            state,
            step: step.map(str::to_owned),
            reason: loaded.paused().map(str::to_owned),
            timers: loaded.timers_set().clone(),
            compensations: names(loaded.process().compensations()),
            steps: names(steps),
            more: history.len() == HISTORY_MAX,
            history: history.into_iter().map(Happened::from).collect(),
        }
    }
}

#[async_trait]
impl<P: Process> OperatedProcess for ProcessOperator<P> {
    fn name(&self) -> &'static str {
        P::CATEGORY
    }

    async fn list(&self, filter: &InstanceFilter) -> Result<Vec<InstanceRow>, String> {
        self.list.list(P::CATEGORY, filter).await
    }

    async fn show(&self, id: &str) -> Result<Option<InstanceShown>, String> {
        let out = |error: LogError| error.to_string();
        let Loaded { state, version, .. } = self.repository.load(id).await.map_err(out)?;
        if version.is_none() {
            return Ok(None);
        }
        let history = self.repository.history(id, Version(0), HISTORY_MAX);
        Ok(Some(Self::shown(id, &state, history.await.map_err(out)?)))
    }

    async fn pause(&self, id: &str, reason: &str) -> Result<(), NotDone> {
        let at = stanchion_runtime::clock::now();
        let reason = reason.to_owned();
        self.tell(id, Told::Pause { reason, at }).await
    }

    async fn resume(&self, id: &str) -> Result<(), NotDone> {
        let at = stanchion_runtime::clock::now();
        self.tell(id, Told::Resume { at }).await
    }

    async fn restart(&self, id: &str, step: &str) -> Result<(), NotDone> {
        let (step, at) = (step.to_owned(), stanchion_runtime::clock::now());
        self.tell(id, Told::Restart { step, at }).await
    }
}

/// What an instance is doing, and at which step or with which outcome.
fn place<P: Process>(instance: &Instance<P>) -> (InstanceState, Option<&'static str>) {
    let (state, step) = match instance.standing() {
        None => (InstanceState::Running, None),
        Some(Standing::AtStep(step)) => (InstanceState::Running, Some(step)),
        Some(Standing::Compensating) => (InstanceState::Compensating, None),
        Some(Standing::Ended(outcome)) => (InstanceState::Ended, Some(outcome)),
    };
    match instance.paused() {
        Some(_) => (InstanceState::Paused, step),
        None => (state, step),
    }
}

impl From<Recorded> for Happened {
    fn from(recorded: Recorded) -> Self {
        Self {
            version: recorded.version.0,
            position: recorded.position,
            at: recorded.at,
            event: recorded.kind,
            data: recorded.data,
        }
    }
}
