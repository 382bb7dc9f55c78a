//! What the Rust drivers share: arguments, streams, payloads, writers, latencies, the line they print.
//!
//! A driver is called `DRIVER URL CASE WRITERS SECONDS EVENTS` and prints one JSON line. Every driver, in whatever
//! language, does the same job: each writer owns its share of 10,000 streams and appends to one of them after the
//! other with the version it knows, about 300 bytes of JSON an event; the first half second is not counted.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{sync::Barrier, task::JoinSet, time::Instant};

/// Streams that are written to.
pub const STREAMS: usize = 10_000;
/// Events in each stream of the reading cases.
pub const STREAM_EVENTS: usize = 100;
/// More connections than this only fight for the cores.
pub const CONNECTIONS_MAX: usize = 64;
/// Not counted: connections, plans and caches warm up.
pub const WARM_UP: Duration = Duration::from_millis(500);

/// What a driver was asked for.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where the store is.
    pub url: String,
    /// The case's name without its options.
    pub case: String,
    /// What followed the name, each after a colon.
    pub options: Vec<String>,
    /// How many write at once.
    pub writers: usize,
    /// How long is counted.
    pub seconds: Duration,
    /// How many events a reading case has to read.
    pub events: usize,
}

impl Job {
    /// The command line; panics with the usage when it is another one.
    #[must_use]
    pub fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [url, case, writers, seconds, events] = arguments.as_slice() else {
            panic!("usage: DRIVER URL CASE WRITERS SECONDS EVENTS");
        };
        let mut words = case.split(':').map(str::to_owned);
        Self {
            url: url.clone(),
            case: words.next().unwrap_or_default(),
            options: words.collect(),
            writers: writers.parse().expect("WRITERS is a number"),
            seconds: Duration::from_secs_f64(seconds.parse().expect("SECONDS is a number")),
            events: events.parse().expect("EVENTS is a number"),
        }
    }

    /// Events of one append: ten when the case says so.
    #[must_use]
    pub fn batch(&self) -> usize {
        if self.case.ends_with("10") { 10 } else { 1 }
    }

    /// Connections for these writers.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.writers.clamp(1, CONNECTIONS_MAX)
    }

    /// Streams that are written to: [`STREAMS`], or what the option `streams` says.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.option("streams").unwrap_or(STREAMS)
    }

    /// The number after `NAME=` among the options.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<usize> {
        let value = |option: &String| option.strip_prefix(name)?.strip_prefix('=')?.parse().ok();
        self.options.iter().find_map(value)
    }
}

/// About 300 bytes of JSON.
#[must_use]
pub fn payload(stream: usize) -> String {
    let note = "n".repeat(128);
    format!(
        r#"{{"accountId":"{}","amountCents":{},"currency":"EUR","reason":"invoice","bookedAt":"2026-11-20T12:00:00Z","reference":"INV-2026-{stream:06}","note":"{note}"}}"#,
        name(stream),
        4200 + stream,
    )
}

/// A stream's name.
#[must_use]
pub fn name(stream: usize) -> String {
    format!("account-{stream:05}")
}

/// A small generator, the same in every driver; good enough to choose streams.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// The same seed gives the same numbers.
    #[must_use]
    pub fn new(seed: usize) -> Self {
        Self((seed as u64 + 1).wrapping_mul(2_654_435_761) + 88_172_645_463_325_252)
    }

    /// A number below `below`.
    pub fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

/// What became of one append.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// It is in the stream, which is now at this version (or whatever the store expects next time).
    Appended(i64),
    /// The store wants it tried again, as a serializable transaction does.
    Again,
}

/// One writer's way to append to a stream that it knows at a version, `None` before the first event.
pub trait Writer: Send + 'static {
    /// Appends the job's batch.
    fn append(&mut self, stream: usize, known: Option<i64>)
    -> impl Future<Output = Outcome> + Send;
}

/// Runs one task a writer and measures.
pub async fn write<W: Writer>(job: &Job, writers: Vec<W>) -> Report {
    let all = writers.len();
    write_part(job, writers, 0, all).await
}

/// The same for a process that has only some of `all` writers, from number `first` on.
pub async fn write_part<W: Writer>(job: &Job, writers: Vec<W>, first: usize, all: usize) -> Report {
    let gate = Arc::new(Barrier::new(writers.len()));
    let mut tasks = JoinSet::new();
    for (number, writer) in writers.into_iter().enumerate() {
        let share = Share {
            number: first + number,
            writers: all,
            streams: job.streams(),
        };
        tasks.spawn(run(writer, share, gate.clone(), job.seconds));
    }
    let mut taken = Taken::default();
    while let Some(done) = tasks.join_next().await {
        taken.add(done.expect("a writer panicked"));
    }
    taken.report(job)
}

/// The streams of one writer.
#[derive(Clone, Copy)]
struct Share {
    number: usize,
    writers: usize,
    streams: usize,
}

impl Share {
    fn count(self) -> usize {
        (self.streams - self.number).div_ceil(self.writers)
    }

    fn stream(self, dice: &mut Dice) -> (usize, usize) {
        let own = dice.below(self.count());
        (own, self.number + own * self.writers)
    }
}

async fn run<W: Writer>(
    mut writer: W,
    share: Share,
    gate: Arc<Barrier>,
    seconds: Duration,
) -> Taken {
    let mut dice = Dice::new(share.number);
    let mut known = vec![None; share.count()];
    let mut taken = Taken::default();
    gate.wait().await;
    let counted_from = Instant::now() + WARM_UP;
    let until = counted_from + seconds;
    loop {
        let (own, stream) = share.stream(&mut dice);
        let begun = Instant::now();
        if begun >= until {
            return taken;
        }
        let version = loop {
            match writer.append(stream, known[own]).await {
                Outcome::Appended(version) => break version,
                Outcome::Again => taken.again += 1,
            }
        };
        known[own] = Some(version);
        let ended = Instant::now();
        if (counted_from..=until).contains(&ended) {
            taken.micros.push((ended - begun).as_micros() as u32);
        }
    }
}

/// Latencies of the appends that were counted, in microseconds.
#[derive(Debug, Default)]
pub struct Taken {
    micros: Vec<u32>,
    again: u64,
}

impl Taken {
    /// One more.
    pub fn push(&mut self, took: Duration) {
        self.micros.push(took.as_micros() as u32);
    }

    fn add(&mut self, other: Self) {
        self.micros.extend(other.micros);
        self.again += other.again;
    }

    fn report(self, job: &Job) -> Report {
        let again = self.again;
        let mut report = self.latencies();
        report.events *= job.batch() as u64;
        report.seconds = job.seconds.as_secs_f64();
        report.again = again;
        report
    }

    /// As many events as there were latencies.
    #[must_use]
    pub fn latencies(mut self) -> Report {
        self.micros.sort_unstable();
        let at = |percent: usize| {
            let last = self.micros.len().checked_sub(1)?;
            Some(self.micros[last.min(self.micros.len() * percent / 100)])
        };
        Report {
            events: self.micros.len() as u64,
            p50_us: at(50),
            p99_us: at(99),
            ..Report::default()
        }
    }
}

/// What a driver prints.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Events appended, read or applied while the clock ran.
    pub events: u64,
    /// How long it ran.
    pub seconds: f64,
    /// Median latency of one append or read.
    pub p50_us: Option<u32>,
    /// Its 99th percentile.
    pub p99_us: Option<u32>,
    /// Appends that the store wanted tried again.
    pub again: u64,
}

impl Report {
    /// So many events in this time.
    #[must_use]
    pub fn rate(events: u64, took: Duration) -> Self {
        Self {
            events,
            seconds: took.as_secs_f64(),
            ..Self::default()
        }
    }

    /// Prints the line.
    pub fn print(&self) {
        let latency = |name: &str, micros: Option<u32>| {
            micros.map_or(String::new(), |micros| format!(r#","{name}":{micros}"#))
        };
        println!(
            r#"{{"events":{},"seconds":{:.3}{}{},"again":{}}}"#,
            self.events,
            self.seconds,
            latency("p50_us", self.p50_us),
            latency("p99_us", self.p99_us),
            self.again
        );
    }
}

/// Calls `read` with the number of a stream until the time is over, one call after the other.
pub async fn read_streams<F, Fut>(job: &Job, mut read: F) -> Report
where
    F: FnMut(usize) -> Fut,
    Fut: Future<Output = usize>,
{
    let streams = job.events / STREAM_EVENTS;
    let (mut dice, mut taken) = (Dice::new(0), Taken::default());
    let begun = Instant::now();
    while begun.elapsed() < job.seconds {
        let before = Instant::now();
        let events = read(dice.below(streams)).await;
        assert_eq!(events, STREAM_EVENTS, "a stream is not whole");
        taken.push(before.elapsed());
    }
    let mut report = taken.latencies();
    report.seconds = begun.elapsed().as_secs_f64();
    report
}

/// Calls `read`, which reads the whole feed and says how many events that were, until the time is over.
pub async fn read_feed<F, Fut>(job: &Job, mut read: F) -> Report
where
    F: FnMut() -> Fut,
    Fut: Future<Output = u64>,
{
    let begun = Instant::now();
    let mut events = 0;
    while begun.elapsed() < job.seconds {
        let all = read().await;
        assert_eq!(all, job.events as u64, "the feed is not whole");
        events += all;
    }
    Report::rate(events, begun.elapsed())
}

/// Runs a driver: one thread for one writer (no hand-over between threads), as many as there are cores for more.
pub fn block_on<T>(job: &Job, driver: impl Future<Output = T>) -> T {
    let mut builder = if job.writers == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(driver)
}
