//! The real logs, asked the same. A program has streams, keys and positions of its own in each of them.

mod ask;
mod counter;
mod follow;

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use serde_json::json;
use stanchion_eventsourcing::{
    self as es, CheckpointStore, DueTimer, EventLog, Filter, KeptState, MemoryCheckpoints,
    MemoryLog, MemorySnapshots, Metadata, Position, Recorded, Repository, Snapshots, StreamId,
    TimerChange, Version,
};
use stanchion_messaging::{Inbox, InboxEntry, InboxKey, MemoryInbox};
use stanchion_runtime::id;
use stanchion_sql::{
    DatabaseSettings, Db, Mode, SqlCheckpoints, SqlInbox, SqlLog, SqlSnapshots, migrate,
};
use uuid::Uuid;

use super::plain::Plain;
use super::program::{Append, Expected, SUBSCRIPTIONS, Step};
use crate::support::{postgres_url, sqlite};
use counter::{Counter, FIRST, new_event};

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

fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn holder(owner: u8) -> Uuid {
    static OWNERS: OnceLock<[Uuid; 2]> = OnceLock::new();
    OWNERS.get_or_init(|| [id::new_v7(), id::new_v7()])[usize::from(owner)]
}
