//! How many appends a second: `append_rate URL [WRITERS=64] [SECONDS=3] [MODE=log] [EVENTS=1] [STREAMS=10000]`.
//!
//! Modes: `log` (the log itself), `repository` (load, decide, append), `uow` (a unit of work with one row), and on
//! PostgreSQL `single` (one ordered statement an append), `unordered` (one plain insert) and `copy` as limits.
//! Prints one line of JSON. Each run takes a module (schema, file) of its own and leaves it behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stanchion_eventsourcing::{
    Aggregate, Append, AppendError, EventLog, Expected, Metadata, NewEvent, Repository, StreamId,
    Version,
};
use stanchion_runtime::{id, task};
use stanchion_sql::{DatabaseSettings, DatabaseUrl, Db, Mode, SqlLog, UnitOfWork, migrate, params};
use tokio::time::Instant;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Given on the command line.
#[derive(Clone)]
struct Job {
    url: DatabaseUrl,
    writers: usize,
    seconds: f64,
    mode: String,
    events: usize,
    streams: usize,
}

/// What is measured on.
struct Bench {
    job: Job,
    db: Db,
    log: Arc<dyn EventLog>,
    repository: Repository<Account>,
    /// The versions the writers wrote last, by stream: each stream belongs to one writer.
    versions: Vec<AtomicI64>,
    conflicts: AtomicU64,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let bench = Arc::new(Bench::open(Job::given()?).await?);
    let warm = bench.job.seconds.min(0.5);
    bench.run(Duration::from_secs_f64(warm)).await?;
    let seconds = Duration::from_secs_f64(bench.job.seconds);
    let before = Instant::now();
    let mut times = bench.run(seconds).await?;
    let took = before.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| {
        times
            .get((times.len() as f64 * share) as usize)
            .copied()
            .unwrap_or(0)
    };
    let job = &bench.job;
    let line = json!({
        "engine": format!("{:?}", bench.db.engine()).to_lowercase(),
        "mode": job.mode,
        "writers": job.writers,
        "events": job.events,
        "per_second": (times.len() * job.events) as f64 / took,
        "p50_us": at(0.5),
        "p99_us": at(0.99),
        "conflicts": bench.conflicts.load(Ordering::Relaxed),
    });
    println!("{line}");
    Ok(())
}

impl Job {
    fn given() -> Result<Self, Failure> {
        let given: Vec<String> = std::env::args().skip(1).collect();
        let or = |index: usize, default: &str| {
            given.get(index).map_or(default, String::as_str).to_owned()
        };
        Ok(Self {
            url: given
                .first()
                .ok_or("the first argument is the URL")?
                .parse()?,
            writers: or(1, "64").parse()?,
            seconds: or(2, "3").parse()?,
            mode: or(3, "log"),
            events: or(4, "1").parse()?,
            streams: or(5, "10000").parse()?,
        })
    }
}

impl Bench {
    async fn open(job: Job) -> Result<Self, Failure> {
        let module = format!("bench_{}", id::new_v7().simple());
        let settings = DatabaseSettings {
            connections_max: job.writers.clamp(4, 64),
            ..DatabaseSettings::default()
        };
        let db = Db::open(&job.url, &module, &settings).await?;
        migrate(&db, &[], Mode::Auto).await?;
        db.script("create table account (id uuid primary key, cents bigint not null)")
            .await?;
        let log: Arc<dyn EventLog> = Arc::new(SqlLog::open(db.clone()).await?);
        Ok(Self {
            repository: Repository::new(Arc::clone(&log)),
            versions: (0..job.streams).map(|_| AtomicI64::new(-1)).collect(),
            conflicts: AtomicU64::new(0),
            job,
            db,
            log,
        })
    }

    /// Microseconds of each append.
    async fn run(self: &Arc<Self>, longest: Duration) -> Result<Vec<u32>, Failure> {
        let end = Instant::now() + longest;
        let writers: Vec<_> = (0..self.job.writers)
            .map(|writer| {
                let bench = Arc::clone(self);
                task::spawn(
                    "writer",
                    async move { bench.write_until(writer, end).await },
                )
            })
            .collect();
        let mut times = Vec::new();
        for writer in writers {
            times.append(&mut writer.await??);
        }
        Ok(times)
    }

    async fn write_until(&self, writer: usize, end: Instant) -> Result<Vec<u32>, Failure> {
        let mut times = Vec::new();
        let mine = (self.job.streams / self.job.writers).max(1);
        let mut turn = 0;
        while Instant::now() < end {
            let stream = (writer + (turn % mine) * self.job.writers) % self.job.streams;
            turn += 1;
            let began = Instant::now();
            match self.job.mode.as_str() {
                "log" => self.append(stream).await?,
                "repository" => self.execute(stream).await?,
                "uow" => self.work(stream).await?,
                "single" | "unordered" => self.insert(stream).await?,
                other => return Err(format!("no mode {other}").into()),
            }
            times.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
        Ok(times)
    }

    async fn append(&self, stream: usize) -> Result<(), Failure> {
        let version = self.versions[stream].load(Ordering::Relaxed);
        let append = Append {
            stream: StreamId::new("account", format!("account-{stream}")),
            expected: if version < 0 {
                Expected::NoStream
            } else {
                Expected::Exact(Version(version))
            },
            events: (0..self.job.events).map(event).collect(),
            inbox: None,
            timers: Vec::new(),
            metadata: Metadata::new(Some("bench".into())),
        };
        match self.log.append(append).await {
            Ok(appended) => {
                let version = appended.version.map_or(-1, |version| version.0);
                self.versions[stream].store(version, Ordering::Relaxed);
            }
            Err(AppendError::Conflict { actual }) => {
                self.conflicts.fetch_add(1, Ordering::Relaxed);
                let version = actual.map_or(-1, |version| version.0);
                self.versions[stream].store(version, Ordering::Relaxed);
            }
            Err(other) => return Err(other.into()),
        }
        Ok(())
    }

    async fn execute(&self, stream: usize) -> Result<(), Failure> {
        let metadata = Metadata::new(Some("bench".into()));
        let id = format!("account-{stream}");
        self.repository
            .execute(&id, &self.job.events, &metadata)
            .await?;
        Ok(())
    }

    async fn work(&self, stream: usize) -> Result<(), Failure> {
        let version = self.versions[stream].load(Ordering::Relaxed);
        let mut work = UnitOfWork::begin(&self.db);
        work.queue(
            "insert into account (id, cents) values ($1, $2)",
            params![id::new_v7(), 1],
        );
        work.record(
            StreamId::new("account", format!("account-{stream}")),
            if version < 0 {
                Expected::NoStream
            } else {
                Expected::Exact(Version(version))
            },
            (0..self.job.events).map(event).collect(),
            &Metadata::new(Some("bench".into())),
        );
        work.commit().await?;
        self.versions[stream].store(version + self.job.events as i64, Ordering::Relaxed);
        Ok(())
    }

    /// What others do: one statement an append, `single` with a lock held to the commit that orders them.
    async fn insert(&self, stream: usize) -> Result<(), Failure> {
        let version = self.versions[stream].load(Ordering::Relaxed) + 1;
        let key = StreamId::new("account", format!("account-{stream}")).key();
        let event = event(0);
        let meta = serde_json::to_string(&Metadata::new(Some("bench".into())))?;
        let params = params![
            key,
            version,
            event.id,
            event.kind.as_str(),
            event.data.to_string(),
            meta
        ];
        if self.job.mode == "unordered" {
            let sql = "insert into account (id, cents) values ($1, $2)";
            self.db.exec(sql, params![event.id, version]).await?;
            return Ok(());
        }
        let work = self.db.begin();
        work.queue(
            "insert into account (id, cents) values ($1, $2)",
            params![event.id, 1],
        );
        work.queue(
            "select pg_advisory_xact_lock(8274, to_regclass('event')::oid::int)",
            params![],
        );
        work.queue(
            "insert into event (position, stream, version, event_id, category, type, data, meta, at, checksum) \
             select (select coalesce(max(position), 0) + 1 from event), $1::uuid, $2::bigint, $3::uuid, 'account', \
             $4::text, $5::json, $6::json, now(), 0",
            params,
        );
        work.commit().await?;
        self.versions[stream].store(version, Ordering::Relaxed);
        Ok(())
    }
}

/// About 300 bytes of JSON.
fn event(number: usize) -> NewEvent {
    NewEvent {
        id: id::new_v7(),
        kind: "money_deposited".into(),
        data: content(number),
    }
}

fn content(number: usize) -> Value {
    json!({
        "accountId": "0192f5d0-7c1e-7bb1-a3de-0f3c9e1a2b3c",
        "amount": { "cents": 1_250 + number, "currency": "EUR" },
        "reference": "invoice 2026-11-20/4711, thank you for your payment",
        "channel": "sepa-credit-transfer",
        "counterparty": { "name": "Example Trading Company Ltd", "iban": "DE02120300000000202051" },
    })
}

/// An account whose events are about 300 bytes as well.
#[derive(Clone, Default)]
struct Account {
    cents: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum AccountEvent {
    MoneyDeposited(Value),
}

#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused;

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Command = usize;
    type Event = AccountEvent;
    type Refusal = Refused;

    fn decide(&self, events: &usize) -> Result<Vec<AccountEvent>, Refused> {
        Ok((0..*events)
            .map(|n| AccountEvent::MoneyDeposited(content(n)))
            .collect())
    }

    fn evolve(&mut self, _: &AccountEvent) {
        self.cents += 1;
    }
}
