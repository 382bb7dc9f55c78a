//! The real logs, asked the same. A program has streams, keys and positions of its own in each of them.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stanchion_eventsourcing::{
    self as es, Aggregate, AppendError, CheckpointError, CheckpointStore, DueTimer, EventLog,
    ExecuteError, Filter, KeptState, MemoryCheckpoints, MemoryLog, MemorySnapshots, Metadata,
    NewEvent, Position, Recorded, Repository, Snapshot, Snapshots, StreamId, Subscription,
    SubscriptionState, TimerChange, Version,
};
use stanchion_messaging::{Claim, Claimed, HandlerError, Inbox, InboxEntry, InboxKey, MemoryInbox};
use stanchion_runtime::{id, task};
use stanchion_sql::{
    DatabaseSettings, Db, Mode, SqlCheckpoints, SqlInbox, SqlLog, SqlSnapshots, migrate,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::plain::{FULL, Plain};
use super::program::{Append, Expected, PAGE, SUBSCRIPTIONS, Shape, Step};
use crate::support::{postgres_url, sqlite};

/// All streams of all programs in one store are of this category or the other one.
const FIRST: &str = "counter_first";

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter<const FIRST_STREAM: bool> {
    count: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", remote = "Self")]
enum Event {
    #[serde(rename = "counted.v3")]
    Counted { by: i64 },
}

#[derive(Deserialize)]
struct CountedV1 {
    tens: i64,
}

#[derive(Serialize, Deserialize)]
struct CountedV2 {
    number: i64,
}

#[derive(Serialize)]
struct Counted {
    by: i64,
}

stanchion_eventsourcing::upcasts! { Event {
    "counted" => "counted.v2": |old: CountedV1| CountedV2 { number: old.tens * 10 },
    "counted.v2" => "counted.v3": |old: CountedV2| Counted { by: old.number },
} }

#[derive(Debug, thiserror::Error)]
#[error("full")]
struct Full;

impl<const FIRST_STREAM: bool> Aggregate for Counter<FIRST_STREAM> {
    const CATEGORY: &'static str = if FIRST_STREAM { FIRST } else { "counter" };
    type Command = i64;
    type Event = Event;
    type Refusal = Full;

    fn decide(&self, by: &i64) -> Result<Vec<Event>, Full> {
        match *by {
            by if self.count + by > FULL => Err(Full),
            0 => Ok(vec![]),
            by => Ok(vec![Event::Counted { by }]),
        }
    }

    fn evolve(&mut self, Event::Counted { by }: &Event) {
        self.count += by;
    }
}

impl<const FIRST_STREAM: bool> Snapshot for Counter<FIRST_STREAM> {
    const SCHEMA: i64 = 1;
}

/// What the handler of a subscription took.
#[derive(Default)]
struct Seen {
    pages: usize,
    entries: Vec<Recorded>,
}

/// The stores that outlive a program.
pub(crate) struct Stores {
    all: Vec<(&'static str, Db, SqlLog)>,
}

impl Stores {
    pub(crate) async fn open() -> Self {
        let settings = DatabaseSettings::default();
        let mut dbs = vec![("SQLite", sqlite(&settings).await)];
        if let Some(url) = postgres_url() {
            dbs.push((
                "PostgreSQL",
                Db::open(&url, "model", &settings).await.unwrap(),
            ));
        }
        let mut all = Vec::new();
        for (name, db) in dbs {
            migrate(&db, &[], Mode::Auto).await.unwrap();
            let log = SqlLog::open(db.clone()).await.unwrap();
            all.push((name, db, log));
        }
        Self { all }
    }

    /// Every log with nothing of the next program in it.
    pub(crate) async fn fresh(&self) -> Vec<Real> {
        let inbox = Arc::new(MemoryInbox::default());
        let log = Arc::new(MemoryLog::with_inbox(Arc::clone(&inbox)));
        let kept = Kept {
            snapshots: Arc::<MemorySnapshots>::default(),
            checkpoints: Arc::<MemoryCheckpoints>::default(),
        };
        let mut reals = vec![Real::new("memory", log, inbox, kept).await];
        for (name, db, log) in &self.all {
            let (log, inbox) = (Arc::new(log.clone()), SqlInbox::new(db.clone()));
            let kept = Kept {
                snapshots: Arc::new(SqlSnapshots::new(db.clone())),
                checkpoints: Arc::new(SqlCheckpoints::new(db.clone())),
            };
            reals.push(Real::new(name, log, Arc::new(inbox), kept).await);
        }
        reals
    }
}

/// What is kept beside a log.
struct Kept {
    snapshots: Arc<dyn Snapshots>,
    checkpoints: Arc<dyn CheckpointStore>,
}

/// One log under one program.
pub(crate) struct Real {
    name: &'static str,
    log: Arc<dyn EventLog>,
    inbox: Arc<dyn Inbox>,
    snapshots: Arc<dyn Snapshots>,
    checkpoints: Arc<dyn CheckpointStore>,
    /// Two processes, each with its own memory of states; streams are of two categories.
    processes: [(Repository<Counter<true>>, Repository<Counter<false>>); 2],
    /// What tells this program's streams and keys from those of others.
    program: String,
    base: i64,
    appends: Vec<es::Append>,
}

impl Real {
    async fn new(
        name: &'static str,
        log: Arc<dyn EventLog>,
        inbox: Arc<dyn Inbox>,
        kept: Kept,
    ) -> Self {
        let Kept {
            snapshots,
            checkpoints,
        } = kept;
        let process = || {
            (
                Repository::new(Arc::clone(&log)).snapshots(Arc::clone(&snapshots), 2),
                Repository::new(Arc::clone(&log)).snapshots(Arc::clone(&snapshots), 2),
            )
        };
        let real = Self {
            name,
            processes: [process(), process()],
            program: id::new_v7().to_string(),
            base: log.head().await.unwrap().0,
            appends: Vec::new(),
            log,
            inbox,
            snapshots,
            checkpoints,
        };
        // Those of earlier programs came further.
        for subscription in 0..SUBSCRIPTIONS {
            real.rewind(subscription, 0).await;
        }
        real
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Clears the timers that are left, so that the next program does not see them.
    pub(crate) async fn leave(&self, plain: &Plain) {
        for (stream, timer, at) in plain.timers() {
            self.log
                .clear_timer(&self.timer(stream, timer, at))
                .await
                .unwrap();
        }
    }

    pub(crate) async fn answer(&mut self, step: &Step) -> String {
        match step {
            Step::Append(append) => {
                let append = self.to_append(append);
                self.appends.push(append.clone());
                self.append(append).await
            }
            Step::Repeat(number) => match self.appends.get(*number).cloned() {
                Some(append) => self.append(append).await,
                None => "nothing to repeat".into(),
            },
            Step::Claim { key, owner } => self.claim(*key, *owner).await,
            Step::Complete { key, owner } => {
                let (key, owner) = (self.key(*key), *owner);
                let done = self.inbox.complete(&key, holder(owner), &[owner]).await;
                format!("completed {}", done.unwrap())
            }
            Step::Release { key, owner } => {
                let key = self.key(*key);
                self.inbox.release(&key, holder(*owner)).await.unwrap();
                "released".into()
            }
            Step::ReadStream {
                stream,
                from,
                limit,
            } => {
                let stream = self.stream(*stream);
                let read = self.log.read_stream(&stream, Version(*from), *limit).await;
                self.shown(&read.unwrap())
            }
            Step::Read {
                after,
                filter,
                limit,
            } => {
                let filter = if *filter {
                    Filter::category(FIRST)
                } else {
                    Filter::all()
                };
                let after = Position(self.base + after);
                self.shown(&self.log.read(after, &filter, *limit).await.unwrap())
            }
            Step::Due { at, limit } => self.due(*at, *limit).await,
            Step::Fired { stream, timer, at } => {
                let timer = self.timer(*stream, *timer, *at);
                self.log.clear_timer(&timer).await.unwrap();
                "cleared".into()
            }
            Step::Execute {
                process,
                stream,
                by,
                expected,
            } => self.execute(*process, *stream, *by, *expected).await,
            Step::Load { process, stream } => self.load(*process, *stream).await,
            Step::Keep {
                stream,
                version,
                schema,
            } => {
                let kept = KeptState {
                    version: Version(*version),
                    event: Uuid::nil(),
                    schema: *schema,
                    state: json!({}),
                };
                self.snapshots
                    .keep(&self.apart(*stream), &kept)
                    .await
                    .unwrap();
                "kept".into()
            }
            Step::Discard { stream, version } => {
                let stream = self.apart(*stream);
                self.snapshots
                    .discard(&stream, Version(*version))
                    .await
                    .unwrap();
                "discarded".into()
            }
            Step::Kept { stream } => {
                let kept = self.snapshots.load(&self.apart(*stream)).await.unwrap();
                format!("{:?}", kept.map(|kept| (kept.version.0, kept.schema)))
            }
            Step::Follow {
                subscription,
                pages,
            } => self.follow(*subscription, *pages).await,
            Step::Rewind { subscription, to } => self.rewind(*subscription, *to).await,
        }
    }

    /// A subscription as a process of its own has it; its handler takes so many pages.
    fn subscription(
        &self,
        number: u8,
        pages: Option<usize>,
        seen: &Arc<Mutex<Seen>>,
    ) -> Subscription {
        let (name, filter) = match number {
            0 => ("everything", Filter::all()),
            _ => ("the-first-stream", Filter::category(FIRST)),
        };
        let seen = Arc::clone(seen);
        let take = move |entries: Vec<Recorded>| {
            let mut seen = seen.lock();
            let enough = pages == Some(seen.pages);
            if !enough {
                seen.pages += 1;
                seen.entries.extend(entries);
            }
            async move {
                match enough {
                    true => Err(HandlerError::Rejected("enough".into())),
                    false => Ok(()),
                }
            }
        };
        let (log, checkpoints) = (Arc::clone(&self.log), Arc::clone(&self.checkpoints));
        Subscription::with_pages(name, log, checkpoints, filter, (PAGE, PAGE), take)
    }

    async fn follow(&self, number: u8, pages: Option<usize>) -> String {
        let seen = Arc::<Mutex<Seen>>::default();
        let subscription = self.subscription(number, pages, &seen);
        let (mut at, mut state) = (subscription.position(), subscription.state());
        let (head, stop) = (self.log.head().await.unwrap(), CancellationToken::new());
        let running = task::spawn("followed", subscription.run(stop.clone()));
        let halted = tokio::select! {
            halted = state.wait_for(|state| matches!(state, SubscriptionState::Halted(_))) => halted.is_ok(),
            reached = at.wait_for(|at| *at >= head) => reached.is_err(),
        };
        stop.cancel();
        running.await.unwrap();
        let (shown, at) = (self.shown(&seen.lock().entries), at.borrow().0 - self.base);
        format!("{shown} halted {halted} at {at}")
    }

    async fn rewind(&self, number: u8, to: i64) -> String {
        let subscription = self.subscription(number, None, &Arc::default());
        match subscription.rewind(Position(self.base + to)).await {
            Ok(()) => format!("rewound to {to}"),
            Err(CheckpointError::WentBack { .. }) => format!("{to} is beyond the end"),
            Err(other) => panic!("{}: {other}", self.name),
        }
    }

    async fn append(&self, append: es::Append) -> String {
        match self.log.append(append).await {
            Ok(appended) => format!(
                "at {} version {:?}",
                appended.position.0 - self.base,
                appended.version.map(|version| version.0)
            ),
            Err(AppendError::Invalid(_)) => "invalid".into(),
            Err(AppendError::Conflict { actual }) => {
                format!("conflict with {:?}", actual.map(|version| version.0))
            }
            Err(AppendError::AlreadyHandled { answer, position }) => {
                let position = position.map(|position| position.0 - self.base);
                let answer = answer.and_then(|answer| answer.first().copied());
                format!("handled at {position:?} with {answer:?}")
            }
            Err(AppendError::ClaimLost) => "the claim was lost".into(),
            Err(other) => panic!("{}: {other}", self.name),
        }
    }

    async fn claim(&self, key: u8, owner: u8) -> String {
        let now = stanchion_runtime::clock::now();
        let claim = Claim {
            key: self.key(key),
            fingerprint: [7; 32],
            owner: holder(owner),
            now,
            expires_at: now + jiff::SignedDuration::from_hours(1),
        };
        match self.inbox.claim(&claim).await.unwrap() {
            Claimed::Fresh => "fresh".into(),
            Claimed::Running => "running".into(),
            Claimed::Answered { answer, position } => {
                let position = position.map(|position| position.0 - self.base);
                let answer = answer.first().copied().unwrap_or_default();
                format!("answered {answer:?} at {position:?}")
            }
            Claimed::Reused => "reused".into(),
        }
    }

    async fn due(&self, at: i64, limit: usize) -> String {
        let mut times = Vec::new();
        for category in [FIRST, "counter"] {
            let due = self
                .log
                .due_timers(category, moment(at), 100)
                .await
                .unwrap();
            times.extend(due.iter().map(|timer| timer.due_at.as_second()));
        }
        times.sort_unstable();
        times.truncate(limit);
        format!("due {times:?}")
    }

    async fn execute(&self, process: u8, stream: u8, by: i64, expected: Option<i64>) -> String {
        let (first, other) = &self.processes[usize::from(process)];
        if stream == 0 {
            self.execute_on(first, stream, by, expected).await
        } else {
            self.execute_on(other, stream, by, expected).await
        }
    }

    async fn execute_on<const F: bool>(
        &self,
        counters: &Repository<Counter<F>>,
        stream: u8,
        by: i64,
        expected: Option<i64>,
    ) -> String {
        let (stream, metadata) = (self.stream(stream), Metadata::new(None));
        let mut execution = counters.on(stream.id(), &metadata);
        if expected.is_some() {
            execution = execution.expecting(expected.map(Version));
        }
        match execution.execute(&by).await {
            Ok(done) => format!(
                "{} at {} version {:?}",
                done.state.count,
                done.position.0 - self.base,
                done.version.map(|version| version.0)
            ),
            Err(ExecuteError::Refused(Full)) => "full".into(),
            Err(ExecuteError::VersionMismatch { actual }) => {
                format!("mismatch with {:?}", actual.map(|version| version.0))
            }
            Err(other) => panic!("{}: {other}", self.name),
        }
    }

    async fn load(&self, process: u8, stream: u8) -> String {
        let (first, other) = &self.processes[usize::from(process)];
        let id = self.stream(stream);
        let (count, version) = if stream == 0 {
            let loaded = first.load(id.id()).await.unwrap();
            (loaded.state.count, loaded.version)
        } else {
            let loaded = other.load(id.id()).await.unwrap();
            (loaded.state.count, loaded.version)
        };
        format!("{count} at {:?}", version.map(|version| version.0))
    }

    fn to_append(&self, append: &Append) -> es::Append {
        let inbox = append.inbox.map(|entry| InboxEntry {
            key: self.key(entry.key),
            owner: entry.owner.map(holder),
            answer: entry.answer.map(|answer| vec![answer]),
        });
        let timers = append.timers.iter().map(|(name, at)| {
            let name = name.to_string();
            match at {
                Some(at) => TimerChange::Set {
                    name,
                    due_at: moment(*at),
                },
                None => TimerChange::Clear { name },
            }
        });
        es::Append {
            stream: self.stream(append.stream),
            expected: match append.expected {
                Expected::NoStream => es::Expected::NoStream,
                Expected::Exact(version) => es::Expected::Exact(Version(version)),
                Expected::Any => es::Expected::Any,
            },
            events: append
                .events
                .iter()
                .map(|shape| new_event(*shape))
                .collect(),
            inbox,
            timers: timers.collect(),
            metadata: Metadata::new(None),
        }
    }

    fn stream(&self, number: u8) -> StreamId {
        let category = if number == 0 { FIRST } else { "counter" };
        StreamId::new(category, format!("{}-{number}", self.program))
    }

    /// A stream whose snapshots no repository writes.
    fn apart(&self, number: u8) -> StreamId {
        StreamId::new("apart", format!("{}-{number}", self.program))
    }

    fn key(&self, number: u8) -> InboxKey {
        InboxKey::request("caller", "route", &format!("{}-{number}", self.program))
    }

    fn timer(&self, stream: u8, timer: u8, at: i64) -> DueTimer {
        DueTimer {
            stream: self.stream(stream),
            name: timer.to_string(),
            due_at: moment(at),
        }
    }

    fn shown(&self, events: &[Recorded]) -> String {
        let mut last = None;
        let shown = events.iter().map(|event| {
            assert!(last < Some(event.position), "{}: out of order", self.name);
            last = Some(event.position);
            let number = event.stream.id().rsplit('-').next().unwrap();
            format!("{number}/{} {}", event.version, event.kind)
        });
        shown.collect::<Vec<_>>().join(", ")
    }
}

fn new_event(shape: Shape) -> NewEvent {
    let data: Value = match shape {
        Shape::Counted(by) => json!({ "by": by }),
        Shape::CountedV1(tens) => json!({ "tens": tens }),
        Shape::CountedV2(number) => json!({ "number": number }),
    };
    NewEvent {
        id: id::new_v7(),
        kind: shape.kind().into(),
        data: data.into(),
    }
}

fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn holder(owner: u8) -> Uuid {
    static OWNERS: OnceLock<[Uuid; 2]> = OnceLock::new();
    OWNERS.get_or_init(|| [id::new_v7(), id::new_v7()])[usize::from(owner)]
}
