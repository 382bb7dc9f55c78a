//! From the answer of an append to a follower that has seen the event: four writing processes, one following.
//!
//! All of them share the machine's clock. Each process leaves `position nanoseconds` lines in a file of its own.

use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use load::{Job, Outcome, Report, WARM_UP, Writer};
use stanchion_eventsourcing::{Checkpoint, EventLog, Filter, Metadata, Pages};
use stanchion_sql::SqlLog;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdout, Command},
};

use crate::store;

/// Processes that write, each with its share of the job's writers.
const PROCESSES: usize = 4;
/// How long the follower waits for a hint before it looks by itself.
const LOOK: Duration = Duration::from_millis(250);
/// A follower of the head reads small pages.
const PAGES: (usize, usize) = (100, 1_000);
/// After the last answer the follower gets this long to see the event.
const GRACE: Duration = Duration::from_millis(500);

type Seen = Vec<(i64, u128)>;

pub async fn run(job: &Job) -> Report {
    // The tables are there before the others come.
    drop(store::log(job).await);
    let folder = env::temp_dir().join(format!("stanchion-ack-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let poll = job
        .option("poll")
        .map_or(String::new(), |millis| format!(":poll={millis}"));
    let mut follower = Part::start(job, &folder, &format!("ack-follower{poll}"), 0, 2).await;
    let mut writers = Vec::new();
    for number in 0..PROCESSES {
        writers.push(Part::start(job, &folder, "ack-writer", number, job.writers).await);
    }
    for part in std::iter::once(&mut follower).chain(&mut writers) {
        part.go().await;
    }
    let mut acked = Seen::new();
    for writer in writers {
        acked.extend(writer.end().await);
    }
    tokio::time::sleep(GRACE).await;
    let seen: HashMap<i64, u128> = follower.end().await.into_iter().collect();
    let _ = fs::remove_dir_all(&folder);
    report(job, &acked, &seen)
}

fn report(job: &Job, acked: &Seen, seen: &HashMap<i64, u128>) -> Report {
    let first = acked.iter().map(|(_, at)| *at).min().unwrap_or_default();
    let counted = first + WARM_UP.as_nanos()..=first + (WARM_UP + job.seconds).as_nanos();
    let mut taken = load::Taken::default();
    for (position, at) in acked.iter().filter(|(_, at)| counted.contains(at)) {
        let seen = seen.get(position).expect("an event was never seen");
        // Seen before the answer came: no wait at all.
        taken.push(Duration::from_nanos(seen.saturating_sub(*at) as u64));
    }
    let mut report = taken.latencies();
    report.seconds = job.seconds.as_secs_f64();
    report
}

/// One process of the case.
struct Part {
    child: Child,
    file: PathBuf,
    /// Held: a process whose output nobody can read dies when it prints.
    _out: BufReader<ChildStdout>,
}

impl Part {
    /// Starts it, and waits until it says that it is ready.
    async fn start(job: &Job, folder: &Path, case: &str, number: usize, writers: usize) -> Self {
        let file = folder.join(format!("{}-{number}", case.replace(':', "-")));
        let mut child = Command::new(env::current_exe().expect("ourselves"))
            .args([
                &job.url,
                &format!("{case}:number={number}"),
                &writers.to_string(),
            ])
            .args([job.seconds.as_secs_f64().to_string(), "0".to_owned()])
            .env("ACK_FILE", &file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a process");
        let out = child.stdout.take().expect("stdout is a pipe");
        let mut ready = String::new();
        let mut out = BufReader::new(out);
        out.read_line(&mut ready).await.expect("a line");
        assert_eq!(ready.trim(), "ready", "a part of the case did not start");
        Self {
            child,
            file,
            _out: out,
        }
    }

    async fn go(&mut self) {
        let stdin = self.child.stdin.as_mut().expect("stdin is a pipe");
        stdin.write_all(b"go\n").await.expect("it listens");
        stdin.flush().await.expect("it listens");
    }

    /// Tells it to end, and reads what it left.
    async fn end(mut self) -> Seen {
        drop(self.child.stdin.take());
        assert!(
            self.child.wait().await.expect("it ends").success(),
            "a part of the case failed"
        );
        let text = fs::read_to_string(&self.file).expect("its file");
        let line = |line: &str| {
            let (position, at) = line.split_once(' ')?;
            Some((position.parse().ok()?, at.parse().ok()?))
        };
        text.lines().filter_map(line).collect()
    }
}

async fn open(job: &Job) -> Arc<dyn EventLog> {
    let db = store::database(job).await;
    Arc::new(SqlLog::open(db).await.expect("the log opens"))
}

/// Says that we are ready; comes back at the word to go.
async fn wait_for_go() {
    println!("ready");
    let mut go = [0; 3];
    tokio::io::stdin()
        .read_exact(&mut go)
        .await
        .expect("the word");
}

fn now() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos()
}

fn leave(seen: &Seen) {
    let lines: String = seen
        .iter()
        .map(|(position, at)| format!("{position} {at}\n"))
        .collect();
    fs::write(env::var_os("ACK_FILE").expect("ACK_FILE"), lines).expect("the file is written");
}

pub async fn write(job: &Job) -> Report {
    let log = open(job).await;
    let acked = Arc::new(Mutex::new(Seen::new()));
    let (all, part) = (job.writers, job.writers / PROCESSES);
    let first = job.option("number").unwrap_or(0) * part;
    let appender = |_| Appender {
        log: log.clone(),
        metadata: Metadata::new(None),
        acked: acked.clone(),
        mine: Seen::new(),
    };
    let writers = (0..part).map(appender).collect();
    wait_for_go().await;
    let report = load::write_part(job, writers, first, all).await;
    leave(&acked.lock().expect("no writer panicked"));
    report
}

struct Appender {
    log: Arc<dyn EventLog>,
    metadata: Metadata,
    acked: Arc<Mutex<Seen>>,
    mine: Seen,
}

impl Writer for Appender {
    async fn append(&mut self, stream: usize, known: Option<i64>) -> Outcome {
        let append = store::append(stream, known, store::events(stream, 1), &self.metadata);
        let appended = self.log.append(append).await.expect("an append");
        self.mine.push((appended.position.0, now()));
        Outcome::Appended(appended.version.expect("an event").0)
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.acked
            .lock()
            .expect("no writer panicked")
            .append(&mut self.mine);
    }
}

/// Follows until its standard input ends.
pub async fn follow(job: &Job) -> Report {
    let log = open(job).await;
    let start = Checkpoint::start(log.id());
    let mut pages = Pages::new(log, Filter::all(), start, PAGES);
    let poll = job
        .option("poll")
        .map(|millis| Duration::from_millis(millis as u64));
    let mut seen = Seen::new();
    wait_for_go().await;
    let mut end = tokio::spawn(async { tokio::io::stdin().read_u8().await.is_err() });
    while !end.is_finished() {
        let page = pages.next().await.expect("a page");
        let at = now();
        seen.extend(page.entries.iter().map(|entry| (entry.position.0, at)));
        if page.entries.is_empty() {
            let grown = async {
                match poll {
                    Some(poll) => tokio::time::sleep(poll).await,
                    None => pages.wait(LOOK).await,
                }
            };
            tokio::select! {
                () = grown => {}
                _ = &mut end => break,
            }
        }
    }
    leave(&seen);
    Report::default()
}
