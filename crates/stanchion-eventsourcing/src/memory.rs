use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use stanchion_messaging::{MemoryInbox, Unsettled};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    Append, AppendError, Appended, DueTimer, EventLog, Expected, Filter, LogError, LogId, Position,
    Recorded, StreamId, TimerChange, Version,
};

/// An event log in memory, for tests of what stands above it; nothing survives the process.
///
/// It keeps the same promises as the durable ones and passes the same conformance suite.
pub struct MemoryLog {
    id: LogId,
    inbox: Arc<MemoryInbox>,
    state: Mutex<State>,
    head: watch::Sender<Position>,
}

#[derive(Default)]
struct State {
    entries: Vec<Recorded>,
    streams: HashMap<Uuid, Vec<usize>>,
    /// Where each event is, by its id.
    events: HashMap<Uuid, usize>,
    timers: BTreeMap<(Uuid, String), DueTimer>,
}

impl MemoryLog {
    /// An empty log with an inbox of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::with_inbox(Arc::new(MemoryInbox::default()))
    }

    /// An empty log that settles entries in `inbox`.
    #[must_use]
    pub fn with_inbox(inbox: Arc<MemoryInbox>) -> Self {
        Self {
            id: LogId(stanchion_runtime::id::new_v7()),
            inbox,
            state: Mutex::new(State::default()),
            head: watch::Sender::new(Position::START),
        }
    }
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn head(&self) -> Position {
        self.entries
            .last()
            .map_or(Position::START, |entry| entry.position)
    }

    fn version(&self, key: Uuid) -> Option<Version> {
        let count = self.streams.get(&key).map_or(0, Vec::len);
        (count > 0).then(|| Version(count as i64 - 1))
    }

    /// The answer of an earlier append of the same event ids, if there was one.
    fn repeated(&self, append: &Append) -> Result<Option<Appended>, AppendError> {
        let known = append.events.iter().map(|event| {
            let index = self.events.get(&event.id)?;
            Some(&self.entries[*index])
        });
        let known: Vec<Option<&Recorded>> = known.collect();
        if known.iter().all(Option::is_none) {
            return Ok(None);
        }
        let here = known.iter().flatten();
        let here = here.filter(|entry| entry.stream == append.stream);
        let last = known.last().copied().flatten();
        let whole = here.count() == known.len();
        let last = last.filter(|_| whole).ok_or_else(|| {
            let reason = "some of its events are in the log already, and others are not";
            AppendError::Invalid(reason.into())
        })?;
        Ok(Some(Appended {
            position: last.position,
            version: Some(last.version),
        }))
    }

    fn check(&self, append: &Append, key: Uuid) -> Result<(), AppendError> {
        let actual = self.version(key);
        let holds = match append.expected {
            Expected::NoStream => actual.is_none(),
            Expected::Exact(version) => actual == Some(version),
            Expected::Any => true,
        };
        if holds {
            Ok(())
        } else {
            Err(AppendError::Conflict { actual })
        }
    }

    fn write(&mut self, append: &Append, key: Uuid, at: Timestamp) -> Appended {
        for event in &append.events {
            let version = Version(self.version(key).map_or(0, |version| version.0 + 1));
            let recorded = Recorded {
                position: self.head().next(),
                stream: append.stream.clone(),
                version,
                id: event.id,
                kind: event.kind.clone(),
                data: event.data.clone(),
                metadata: append.metadata.clone(),
                at,
            };
            self.streams
                .entry(key)
                .or_default()
                .push(self.entries.len());
            self.events.insert(event.id, self.entries.len());
            self.entries.push(recorded);
        }
        self.change_timers(append, key);
        Appended {
            position: self.head(),
            version: self.version(key),
        }
    }

    fn change_timers(&mut self, append: &Append, key: Uuid) {
        for change in &append.timers {
            match change {
                TimerChange::Set { name, due_at } => {
                    let timer = DueTimer {
                        stream: append.stream.clone(),
                        name: name.clone(),
                        due_at: *due_at,
                    };
                    self.timers.insert((key, name.clone()), timer);
                }
                TimerChange::Clear { name } => {
                    self.timers.remove(&(key, name.clone()));
                }
            }
        }
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    fn id(&self) -> LogId {
        self.id
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        append.validate()?;
        let key = append.stream.key();
        let mut state = self.state.lock();
        if let Some(appended) = state.repeated(&append)? {
            return Ok(appended);
        }
        if let Some(entry) = &append.inbox {
            self.inbox
                .check(entry)
                .map_err(|unsettled| match unsettled {
                    Unsettled::Known { answer, position } => {
                        AppendError::AlreadyHandled { answer, position }
                    }
                    Unsettled::ClaimLost => AppendError::ClaimLost,
                })?;
        }
        state.check(&append, key)?;
        let at = stanchion_runtime::clock::now();
        let appended = state.write(&append, key, at);
        if let Some(entry) = &append.inbox {
            self.inbox.settle(entry, Some(appended.position), at);
        }
        self.head.send_replace(appended.position);
        Ok(appended)
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        let state = self.state.lock();
        let Some(indices) = state.streams.get(&stream.key()) else {
            return Ok(Vec::new());
        };
        let wanted = indices
            .iter()
            .skip(usize::try_from(from.0).unwrap_or(0))
            .take(limit);
        Ok(wanted.map(|&index| state.entries[index].clone()).collect())
    }

    async fn read(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        let state = self.state.lock();
        let later = state
            .entries
            .iter()
            .skip(usize::try_from(after.0).unwrap_or(0));
        let wanted = later.filter(|entry| filter.passes(entry));
        Ok(wanted.take(limit).cloned().collect())
    }

    async fn head(&self) -> Result<Position, LogError> {
        Ok(self.state.lock().head())
    }

    fn changes(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    async fn due_timers(
        &self,
        category: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueTimer>, LogError> {
        let state = self.state.lock();
        let due = |timer: &&DueTimer| timer.stream.category() == category && timer.due_at <= now;
        let mut due: Vec<DueTimer> = state.timers.values().filter(due).cloned().collect();
        due.sort_by_key(|timer| timer.due_at);
        due.truncate(limit);
        Ok(due)
    }

    async fn clear_timer(&self, timer: &DueTimer) -> Result<(), LogError> {
        let mut state = self.state.lock();
        let key = (timer.stream.key(), timer.name.clone());
        if state
            .timers
            .get(&key)
            .is_some_and(|set| set.due_at == timer.due_at)
        {
            state.timers.remove(&key);
        }
        Ok(())
    }
}
