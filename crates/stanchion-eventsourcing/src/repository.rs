//! Where a context keeps an event-sourced aggregate.

mod execution;
mod outcome;

use std::sync::Arc;

use stanchion_telemetry::Metrics;
use tracing::debug;

pub use self::execution::Execution;
pub use self::outcome::{ExecuteError, Executed, Loaded};

use crate::personal::{self, KEY_AGE_MAX};
use crate::slots::Slots;
use crate::snapshot::Keeper;
use crate::{
    Aggregate, EventLog, LogError, Metadata, NewEvent, Recorded, Snapshot, Snapshots, StreamId,
    UnknownEvent, Vault, Version,
};

/// From this version on, a stream that was only read is remembered as well.
const LONG: Version = Version(32);

/// Events read at once while loading.
const PAGE: usize = 1_000;

/// Where a context keeps an event-sourced aggregate.
///
/// Executions on one id run one at a time within a process, so conflicts come only from others. The
/// last state is remembered as a hint: a decision on it counts only if the append proves that the
/// stream is still there, anything else is decided again on what the stream says now.
pub struct Repository<A: Aggregate> {
    log: Arc<dyn EventLog>,
    slots: Slots<A>,
    snapshots: Option<Keeper<A>>,
    vault: Option<Arc<dyn Vault>>,
}

impl<A: Aggregate> Repository<A> {
    /// A repository over `log`.
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self {
            log,
            slots: Slots::default(),
            snapshots: None,
            vault: None,
        }
    }

    /// Loads long streams from the last state kept in `store`, which is written again every `every` events.
    ///
    /// A state is written after the commit and beside the request: it delays and fails nothing. One
    /// of another [`Snapshot::SCHEMA`], one that does not decode and one ahead of its stream are
    /// discarded, and the stream is read from its start.
    #[must_use]
    pub fn snapshots(mut self, store: Arc<dyn Snapshots>, every: u32) -> Self
    where
        A: Snapshot,
    {
        self.snapshots = Some(Keeper::new(store, every));
        self
    }

    /// Counts what becomes of snapshots in `stanchion_snapshots_total`, by `category` and `outcome`:
    /// `hit`, `missed`, `discarded`, `written`, `skipped` (too many were being written), `outlived` (it remembered
    /// somebody who is shredded, and is made anew), `failed`.
    #[must_use]
    pub fn with_metrics(mut self, metrics: &Metrics) -> Self {
        if let Some(keeper) = &mut self.snapshots {
            keeper.count_in(metrics);
        }
        self
    }

    /// Seals the [`Personal`](crate::Personal) values in events and snapshots with the keys of `vault`, and opens
    /// them when they are read.
    ///
    /// Without a vault such events are refused. A remembered state is then used for at most
    /// [`KEY_AGE_MAX`]: so long a shredded value may still be seen.
    #[must_use]
    pub fn personal(mut self, vault: Arc<dyn Vault>) -> Self {
        self.slots = Slots::aging(KEY_AGE_MAX);
        self.vault = Some(vault);
        self
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
        self.catch_up(id, hint).await
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
        Execution::new(self, id, metadata)
    }

    /// What is known, brought up to what the stream says now.
    async fn catch_up(&self, id: &str, hint: Option<Loaded<A>>) -> Result<Loaded<A>, LogError> {
        let stream = self.stream(id);
        if let Some(hint) = hint {
            if let Some(loaded) = self.read_on(&stream, hint).await? {
                return Ok(loaded);
            }
            self.slots.forget(id);
        }
        if let Some(keeper) = &self.snapshots
            && let Some(kept) = keeper.load(&stream, self.vault.as_deref()).await
        {
            let version = kept.version;
            if let Some(loaded) = self.read_on(&stream, kept).await? {
                keeper.hit();
                return Ok(loaded);
            }
            keeper.discard(&stream, version, "the stream has another event there");
        }
        let loaded = self.read_on(&stream, Loaded::nothing()).await?;
        // Nothing known cannot be contradicted.
        Ok(loaded.unwrap_or_else(Loaded::nothing))
    }

    /// Reads on from what is known; `None` if the stream says otherwise, because its log went back.
    async fn read_on(
        &self,
        stream: &StreamId,
        mut loaded: Loaded<A>,
    ) -> Result<Option<Loaded<A>>, LogError> {
        let mut proof = loaded.last;
        let mut read = 0;
        loop {
            let from = match (proof, loaded.version) {
                (Some(_), Some(known)) => known,
                _ => loaded.next(),
            };
            let mut page = self.log.read_stream(stream, from, PAGE).await?;
            let full = page.len() == PAGE;
            if let Some(id) = proof.take() {
                if page.first().map(|first| first.id) != Some(id) {
                    debug!(%stream, version = %from, "what was remembered is no longer in the log");
                    return Ok(None);
                }
                page.remove(0);
            }
            for (recorded, event) in page.iter().zip(self.decode(&page).await?) {
                loaded.take(&event, recorded.version, recorded.id);
            }
            read += page.len();
            if !full {
                self.remember_read(stream, &loaded, read);
                return Ok(Some(loaded));
            }
        }
    }

    fn remember_read(&self, stream: &StreamId, loaded: &Loaded<A>, read: usize) {
        if loaded.version >= Some(LONG) {
            self.slots.slot(stream.id());
        }
        self.slots.remember(stream.id(), loaded);
        if let Some(keeper) = &self.snapshots
            && read >= keeper.every()
        {
            let slot = self.slots.slot(stream.id());
            keeper.write(stream, loaded, self.vault.clone(), slot);
        }
    }

    async fn decode(&self, page: &[Recorded]) -> Result<Vec<A::Event>, LogError> {
        let decode = || -> Result<Vec<A::Event>, LogError> {
            let events = page.iter().map(|recorded| {
                let event = recorded.decode::<A::Event>();
                event.map_err(|error| LogError::Damaged {
                    position: recorded.position,
                    reason: error.to_string(),
                })
            });
            events.collect()
        };
        match &self.vault {
            Some(vault) => personal::opening(&**vault, decode)
                .await
                .map_err(|error| LogError::Unavailable(error.to_string()))?,
            None => decode(),
        }
    }

    async fn to_new(&self, events: &[A::Event]) -> Result<Vec<NewEvent>, String> {
        let make =
            || -> Result<Vec<NewEvent>, UnknownEvent> { events.iter().map(NewEvent::of).collect() };
        let made = match &self.vault {
            Some(vault) => personal::sealing(&**vault, make)
                .await
                .map_err(|error| error.to_string())?,
            None => make(),
        };
        made.map_err(|error| error.to_string())
    }
}
