use std::sync::Arc;
use std::time::Duration;

use stanchion_messaging::InboxEntry;
use tracing::{Instrument, info_span};

use crate::slots::{Busy, Slot, Slots};
use crate::{
    Aggregate, Append, AppendError, Appended, EventLog, Expected, LogError, Metadata, NewEvent,
    Position, Recorded, StreamId, UnknownEvent, Version,
};

/// How often a version conflict with another process is met by deciding anew.
const CONFLICTS_MAX: u32 = 8;

/// How often an unknown commit outcome is asked about by appending the same ids again.
const UNKNOWN_MAX: u32 = 5;

/// From this version on, a stream that was only read is remembered as well.
const LONG: Version = Version(32);

/// Events read at once while loading.
const PAGE: usize = 1_000;

/// Where a context keeps an event-sourced aggregate.
///
/// Executions on one id run one at a time within a process, so conflicts come only from others; the
/// last state is remembered as a hint and the stream's tail is read every time.
pub struct Repository<A: Aggregate> {
    log: Arc<dyn EventLog>,
    slots: Slots<A>,
}

/// An aggregate as its stream says it is.
#[derive(Clone, Debug)]
pub struct Loaded<A> {
    /// Its state.
    pub state: A,
    /// Its last event's version; `None` when nothing ever happened to it.
    pub version: Option<Version>,
}

/// What an execution did.
#[derive(Clone, Debug)]
pub struct Executed<A: Aggregate> {
    /// The state after it.
    pub state: A,
    /// The version after it.
    pub version: Option<Version>,
    /// What happened; empty when the decision was to do nothing.
    pub events: Vec<A::Event>,
    /// Where in the log it is; the head when nothing happened.
    pub position: Position,
}

/// Why an execution did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<R: std::error::Error> {
    /// The aggregate refused.
    #[error(transparent)]
    Refused(R),
    /// The stream is not at the version the caller expected (a stale `If-Match`).
    #[error("the version is not the expected one")]
    VersionMismatch {
        /// The stream's last version.
        actual: Option<Version>,
    },
    /// The inbox knew the key: the effect is there already.
    #[error("already dealt with")]
    AlreadyHandled {
        /// The answer given then.
        answer: Option<Vec<u8>>,
        /// Where its effect is.
        position: Option<Position>,
    },
    /// The claim on the request was lost; nothing was written.
    #[error("the claim on this request was lost")]
    ClaimLost,
    /// Too many executions wait for this id, or the log is overloaded; nothing was written.
    #[error("overloaded")]
    Overloaded,
    /// The log cannot be reached or read, or other processes were always quicker.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl<A: Aggregate> Repository<A> {
    /// A repository over `log`.
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self {
            log,
            slots: Slots::default(),
        }
    }

    /// The log under it.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// The stream of an id.
    pub fn stream(&self, id: &str) -> StreamId {
        StreamId::new(A::CATEGORY, id)
    }

    /// The aggregate as it is now; the default state when nothing ever happened to it.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn load(&self, id: &str) -> Result<Loaded<A>, LogError> {
        let hint = self.slots.hint(id);
        self.catch_up(id, hint.unwrap_or_else(Loaded::nothing))
            .await
    }

    /// The events of an id, oldest first, at most `limit` from version `from` on.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn history(
        &self,
        id: &str,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        self.log.read_stream(&self.stream(id), from, limit).await
    }

    /// Executes a command: load, decide, append; conflicts are decided anew.
    ///
    /// # Errors
    /// See [`ExecuteError`].
    pub async fn execute(
        &self,
        id: &str,
        command: &A::Command,
        metadata: &Metadata,
    ) -> Result<Executed<A>, ExecuteError<A::Refusal>> {
        self.on(id, metadata).execute(command).await
    }

    /// An execution with more to say: an expected version, an inbox entry, an answer.
    #[must_use]
    pub fn on<'a>(&'a self, id: &'a str, metadata: &'a Metadata) -> Execution<'a, A> {
        Execution {
            repository: self,
            id,
            metadata,
            expected: None,
            inbox: None,
            entry: None,
        }
    }

    async fn catch_up(&self, id: &str, mut loaded: Loaded<A>) -> Result<Loaded<A>, LogError> {
        let stream = self.stream(id);
        loop {
            let from = loaded
                .version
                .map_or(Version(0), |version| Version(version.0 + 1));
            let page = self.log.read_stream(&stream, from, PAGE).await?;
            let full = page.len() == PAGE;
            for recorded in page {
                loaded.take(&recorded)?;
            }
            if !full {
                if loaded.version >= Some(LONG) {
                    self.slots.slot(id);
                }
                self.slots.remember(id, &loaded);
                return Ok(loaded);
            }
        }
    }
}

impl<A: Aggregate> Loaded<A> {
    fn nothing() -> Self {
        Self {
            state: A::default(),
            version: None,
        }
    }

    fn take(&mut self, recorded: &Recorded) -> Result<(), LogError> {
        let damaged = |error: UnknownEvent| LogError::Damaged {
            position: recorded.position,
            reason: error.to_string(),
        };
        self.state
            .evolve(&recorded.decode::<A::Event>().map_err(damaged)?);
        self.version = Some(recorded.version);
        Ok(())
    }
}

type Entry<'a, A> = Box<dyn Fn(&A, Version) -> Option<InboxEntry> + Send + Sync + 'a>;

/// One execution in preparation; see [`Repository::on`].
pub struct Execution<'a, A: Aggregate> {
    repository: &'a Repository<A>,
    id: &'a str,
    metadata: &'a Metadata,
    expected: Option<Version>,
    inbox: Option<InboxEntry>,
    entry: Option<Entry<'a, A>>,
}

impl<'a, A: Aggregate> Execution<'a, A> {
    /// Only if the stream is at this version.
    #[must_use]
    pub fn expecting(mut self, version: Option<Version>) -> Self {
        self.expected = version;
        self
    }

    /// Commits this inbox row with the events; a key that is known already drops them.
    #[must_use]
    pub fn inbox(mut self, entry: Option<InboxEntry>) -> Self {
        self.inbox = entry;
        self
    }

    /// Commits the inbox row made of the state and version after the decision.
    ///
    /// A request's row holds the whole answer: `|state, version| idempotency.entry(&answer)`.
    #[must_use]
    pub fn settling(
        mut self,
        entry: impl Fn(&A, Version) -> Option<InboxEntry> + Send + Sync + 'a,
    ) -> Self {
        self.entry = Some(Box::new(entry));
        self
    }

    /// Executes.
    ///
    /// # Errors
    /// See [`ExecuteError`].
    pub async fn execute(
        self,
        command: &A::Command,
    ) -> Result<Executed<A>, ExecuteError<A::Refusal>> {
        let span = info_span!("decide", category = A::CATEGORY, id = self.id);
        self.execute_alone(command).instrument(span).await
    }

    async fn execute_alone(
        self,
        command: &A::Command,
    ) -> Result<Executed<A>, ExecuteError<A::Refusal>> {
        let slot = self.repository.slots.slot(self.id);
        let _turn = slot.turn().await.map_err(|Busy| ExecuteError::Overloaded)?;
        for _ in 0..CONFLICTS_MAX {
            match self.attempt(&slot, command).await {
                Err(Attempt::Conflict(_)) => {}
                Err(Attempt::Failed(error)) => return Err(error),
                Ok(executed) => return Ok(executed),
            }
        }
        Err(ExecuteError::Unavailable(
            "other writers were always quicker".into(),
        ))
    }

    async fn attempt(
        &self,
        slot: &Slot<A>,
        command: &A::Command,
    ) -> Result<Executed<A>, Attempt<A::Refusal>> {
        let hint = slot.hint().unwrap_or_else(Loaded::nothing);
        let loaded = self.repository.catch_up(self.id, hint).await?;
        if self.expected.is_some() && self.expected != loaded.version {
            let actual = loaded.version;
            return Err(Attempt::Failed(ExecuteError::VersionMismatch { actual }));
        }
        let events = loaded.state.decide(command);
        let events = events.map_err(|refusal| Attempt::Failed(ExecuteError::Refused(refusal)))?;
        if events.is_empty() && self.settled(&loaded).is_none() {
            let position = self.repository.log.head().await?;
            return Ok(loaded.unchanged(position));
        }
        self.append(slot, loaded, events).await
    }

    async fn append(
        &self,
        slot: &Slot<A>,
        loaded: Loaded<A>,
        events: Vec<A::Event>,
    ) -> Result<Executed<A>, Attempt<A::Refusal>> {
        let mut after = loaded.clone();
        for event in &events {
            after.state.evolve(event);
            after.version = Some(
                after
                    .version
                    .map_or(Version(0), |version| Version(version.0 + 1)),
            );
        }
        let append = self.to_append(&loaded, &after, &events)?;
        let span = info_span!("append", events = events.len());
        let appended = self.send(append).instrument(span).await;
        if let Err(Attempt::Conflict(actual)) = &appended
            && *actual < loaded.version
        {
            // The log went back (a failover that lost its tail): what is remembered is no fact.
            slot.forget();
        }
        let appended = appended?;
        slot.remember(&after);
        Ok(Executed {
            state: after.state,
            version: after.version,
            events,
            position: appended.position,
        })
    }

    fn to_append(
        &self,
        before: &Loaded<A>,
        after: &Loaded<A>,
        events: &[A::Event],
    ) -> Result<Append, Attempt<A::Refusal>> {
        let inbox = self.settled(after);
        let new: Result<Vec<NewEvent>, UnknownEvent> = events.iter().map(NewEvent::of).collect();
        Ok(Append {
            stream: self.repository.stream(self.id),
            expected: before.version.map_or(Expected::NoStream, Expected::Exact),
            events: new.map_err(|error| unavailable(error.to_string()))?,
            inbox,
            timers: events.iter().flat_map(A::timers).collect(),
            metadata: self.metadata.clone(),
        })
    }

    /// The inbox row for the state after the decision.
    fn settled(&self, after: &Loaded<A>) -> Option<InboxEntry> {
        let made = self.entry.as_ref().zip(after.version);
        let entry = made.and_then(|(make, version)| make(&after.state, version));
        entry.or_else(|| self.inbox.clone())
    }

    /// Appends; an unknown outcome is asked about with the same ids.
    async fn send(&self, append: Append) -> Result<Appended, Attempt<A::Refusal>> {
        for attempt in 0..UNKNOWN_MAX {
            match self.repository.log.append(append.clone()).await {
                Err(AppendError::Unknown) => {
                    tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
                }
                Err(error) => return Err(error.into()),
                Ok(appended) => return Ok(appended),
            }
        }
        Err(unavailable("the outcome of the append is unknown".into()))
    }
}

impl<A: Aggregate> Loaded<A> {
    fn unchanged(self, position: Position) -> Executed<A> {
        Executed {
            state: self.state,
            version: self.version,
            events: Vec::new(),
            position,
        }
    }
}

enum Attempt<R: std::error::Error> {
    /// Somebody else was quicker; the stream's last version.
    Conflict(Option<Version>),
    Failed(ExecuteError<R>),
}

fn unavailable<R: std::error::Error>(reason: String) -> Attempt<R> {
    Attempt::Failed(ExecuteError::Unavailable(reason))
}

impl<R: std::error::Error> From<LogError> for Attempt<R> {
    fn from(error: LogError) -> Self {
        unavailable(error.to_string())
    }
}

impl<R: std::error::Error> From<AppendError> for Attempt<R> {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict { actual } => Self::Conflict(actual),
            AppendError::AlreadyHandled { answer, position } => {
                Self::Failed(ExecuteError::AlreadyHandled { answer, position })
            }
            AppendError::ClaimLost => Self::Failed(ExecuteError::ClaimLost),
            AppendError::Overloaded => Self::Failed(ExecuteError::Overloaded),
            other => unavailable(other.to_string()),
        }
    }
}
