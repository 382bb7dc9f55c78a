use std::sync::Arc;
use std::time::Duration;

use stanchion_messaging::InboxEntry;
use tracing::{Instrument, info_span};

use super::{ExecuteError, Executed, Loaded, Repository};
use crate::slots::{Busy, Slot};
use crate::{
    Aggregate, Append, AppendError, Appended, Expected, LogError, Metadata, NewEvent, Version,
};

/// How often a version conflict with another process is met by deciding anew.
const CONFLICTS_MAX: u32 = 8;

/// How often an unknown commit outcome is asked about by appending the same ids again.
const UNKNOWN_MAX: u32 = 5;

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

/// What a decision is made on.
struct Basis<A> {
    loaded: Loaded<A>,
    /// Read just now, not only remembered.
    fresh: bool,
}

enum Attempt<R: std::error::Error> {
    /// Only a look at the stream can tell: the decision on the remembered state appends nothing.
    Look,
    /// Somebody else was quicker; the stream's last version.
    Conflict(Option<Version>),
    Failed(ExecuteError<R>),
}

impl<'a, A: Aggregate> Execution<'a, A> {
    pub(super) fn new(repository: &'a Repository<A>, id: &'a str, metadata: &'a Metadata) -> Self {
        Self {
            repository,
            id,
            metadata,
            expected: None,
            inbox: None,
            entry: None,
        }
    }

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
        let slots = &self.repository.slots;
        let slot = slots.slot(self.id);
        let _turn = slot.turn().await.map_err(|Busy| ExecuteError::Overloaded)?;
        // What is remembered is tried without a look first: the append proves it or does nothing.
        let mut remembered = slots.hint(self.id);
        for _ in 0..CONFLICTS_MAX {
            match self.attempt(&slot, remembered.take(), command).await {
                Err(Attempt::Look | Attempt::Conflict(_)) => {}
                Err(Attempt::Failed(error)) => {
                    if matches!(error, ExecuteError::Unavailable(_)) {
                        // After an outage the log may be another one (a failover that lost its tail).
                        slots.forget_all();
                    }
                    return Err(error);
                }
                Ok(executed) => return Ok(executed),
            }
        }
        Err(ExecuteError::Unavailable(
            "other writers were always quicker".into(),
        ))
    }

    async fn attempt(
        &self,
        slot: &Arc<Slot<A>>,
        remembered: Option<Loaded<A>>,
        command: &A::Command,
    ) -> Result<Executed<A>, Attempt<A::Refusal>> {
        let basis = self.basis(remembered).await?;
        if self.expected.is_some() && self.expected != basis.loaded.version {
            let actual = basis.loaded.version;
            return basis.final_word(ExecuteError::VersionMismatch { actual });
        }
        match basis.loaded.state.decide(command) {
            Err(refusal) => basis.final_word(ExecuteError::Refused(refusal)),
            Ok(events) if events.is_empty() && self.settled(&basis.loaded).is_none() => {
                self.nothing(basis).await
            }
            Ok(events) => self.append(slot, basis.loaded, events).await,
        }
    }

    async fn basis(&self, remembered: Option<Loaded<A>>) -> Result<Basis<A>, LogError> {
        if let Some(loaded) = remembered {
            let fresh = false;
            return Ok(Basis { loaded, fresh });
        }
        let hint = self.repository.slots.hint(self.id);
        let loaded = self.repository.catch_up(self.id, hint).await?;
        Ok(Basis {
            loaded,
            fresh: true,
        })
    }

    async fn nothing(&self, basis: Basis<A>) -> Result<Executed<A>, Attempt<A::Refusal>> {
        if !basis.fresh {
            return Err(Attempt::Look);
        }
        let position = self.repository.log.head().await?;
        Ok(basis.loaded.unchanged(position))
    }

    async fn append(
        &self,
        slot: &Arc<Slot<A>>,
        before: Loaded<A>,
        events: Vec<A::Event>,
    ) -> Result<Executed<A>, Attempt<A::Refusal>> {
        let new = self.repository.to_new(&events).await.map_err(unavailable)?;
        let mut after = before.clone();
        for (event, new) in events.iter().zip(&new) {
            let version = after.next();
            after.take(event, version, new.id);
        }
        let append = self.to_append(&before, &after, &events, new);
        let span = info_span!("append", events = events.len());
        let appended = self.send(append).instrument(span).await;
        if let Err(Attempt::Conflict(actual)) = &appended
            && *actual < before.version
        {
            // The log went back (a failover that lost its tail): what is remembered is no fact.
            slot.forget();
        }
        let appended = appended?;
        slot.remember(&after);
        self.keep(slot, &before, &after);
        Ok(Executed {
            state: after.state,
            version: after.version,
            events,
            position: appended.position,
        })
    }

    /// Has the state kept when the stream passed a multiple of the snapshots' interval.
    fn keep(&self, slot: &Arc<Slot<A>>, before: &Loaded<A>, after: &Loaded<A>) {
        if let Some(keeper) = &self.repository.snapshots
            && keeper.is_due(before.next(), after.next())
        {
            let stream = self.repository.stream(self.id);
            let vault = self.repository.vault.clone();
            keeper.write(&stream, after, vault, Arc::clone(slot));
        }
    }

    fn to_append(
        &self,
        before: &Loaded<A>,
        after: &Loaded<A>,
        events: &[A::Event],
        new: Vec<NewEvent>,
    ) -> Append {
        Append {
            stream: self.repository.stream(self.id),
            expected: before.version.map_or(Expected::NoStream, Expected::Exact),
            events: new,
            inbox: self.settled(after),
            timers: events.iter().flat_map(A::timers).collect(),
            metadata: self.metadata.clone(),
        }
    }

    /// The inbox row for the state after the decision.
    fn settled(&self, after: &Loaded<A>) -> Option<InboxEntry> {
        let made = self.entry.as_ref().zip(after.version);
        let entry = made.and_then(|(make, version)| make(&after.state, version));
        entry.or_else(|| self.inbox.clone())
    }

    /// Appends; an unknown outcome is asked about with the same ids.
    ///
    /// After it, only what proves that the first attempt did or did not happen settles it: an
    /// overloaded or absent log says nothing about that.
    async fn send(&self, append: Append) -> Result<Appended, Attempt<A::Refusal>> {
        let mut unknown = false;
        for attempt in 0..UNKNOWN_MAX {
            match self.repository.log.append(append.clone()).await {
                Ok(appended) => return Ok(appended),
                Err(AppendError::Unknown) => unknown = true,
                Err(AppendError::Overloaded | AppendError::Unavailable(_)) if unknown => {}
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
        }
        Err(unavailable("the outcome of the append is unknown".into()))
    }
}

impl<A: Aggregate> Basis<A> {
    /// An answer without an append: nothing proves a remembered state, so it counts only on a fresh one.
    fn final_word<T>(&self, error: ExecuteError<A::Refusal>) -> Result<T, Attempt<A::Refusal>> {
        Err(if self.fresh {
            Attempt::Failed(error)
        } else {
            Attempt::Look
        })
    }
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
            AppendError::Invalid(reason) => Self::Failed(ExecuteError::Invalid(reason)),
            other => unavailable(other.to_string()),
        }
    }
}
