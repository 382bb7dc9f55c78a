//! Writers and followers of an event log, who are made to be killed.
//!
//! Each append is noted in a journal before it is tried and after it was answered, a JSON object a line: what
//! `log-auditor` judges the log by. A new life repeats what the life before it left open, with the same ids.
//! On `SIGTERM` writers begin nothing new and settle what they have begun, followers finish their batch.

mod appends;
mod ask;
mod counters;
mod followers;
mod hoard;
mod journal;
mod reads;
mod resume;
mod store;
mod works;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use rand::{SeedableRng, rngs::StdRng};
use stanchion::sql::DatabaseUrl;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinSet, LocalSet};
use tokio_util::sync::CancellationToken;

use followers::Follower;
use journal::Journal;
use store::Store;

/// Longest time from `SIGTERM` until everything begun is settled.
const LEAVE_WITHIN: Duration = Duration::from_secs(60);

#[derive(Parser)]
#[command(about = "Writers and followers of an event log, who are made to be killed.")]
enum Arguments {
    /// Makes the tables.
    Prepare {
        /// `sqlite://DIR` or `postgres://…`.
        url: DatabaseUrl,
    },
    /// Writes and follows until told to stop.
    Run(Run),
    /// Holds server connections that others could use, until told to stop.
    Hoard {
        /// `postgres://…`.
        url: String,
        /// How many, at most.
        #[arg(long, default_value_t = 40)]
        count: usize,
    },
}

#[derive(clap::Args)]
struct Run {
    /// `sqlite://DIR` or `postgres://…`.
    url: DatabaseUrl,
    /// Who this is: part of stream names and ids.
    #[arg(long)]
    name: String,
    /// Where intents and outcomes are noted; without it nobody writes.
    #[arg(long)]
    journal: Option<PathBuf>,
    /// The journal of the life before: what it left open is repeated.
    #[arg(long)]
    earlier: Option<PathBuf>,
    /// Where chance begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Who append to the bare log at the same time.
    #[arg(long, default_value_t = 0)]
    appenders: u32,
    /// Who execute commands on aggregates.
    #[arg(long, default_value_t = 0)]
    counters: u32,
    /// Who commit rows and events in units of work.
    #[arg(long, default_value_t = 0)]
    works: u32,
    /// Longest pause of a writer between two appends, in milliseconds.
    #[arg(long, default_value_t = 100)]
    pause_ms_max: u64,
    /// Most connections of this process.
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Where a reader notes down what it could read; without it nobody only reads.
    #[arg(long)]
    reads: Option<PathBuf>,
    /// Who follow the log.
    #[arg(long, value_delimiter = ',')]
    followers: Vec<Follower>,
    /// The followers replay the whole log first.
    #[arg(long)]
    rebuild: bool,
    /// The followers come to the log's end and leave.
    #[arg(long)]
    once: bool,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let closing = CancellationToken::new();
    let told = closing.clone();
    stanchion::runtime::task::spawn("signals", async move {
        told_to_leave().await;
        told.cancel();
    });
    let done = match Arguments::parse() {
        Arguments::Prepare { url } => store::prepare(&url).await,
        // Writers of one process take turns on one thread; the log's own work runs beside them.
        Arguments::Run(run) => LocalSet::new().run_until(run.until(closing)).await,
        Arguments::Hoard { url, count } => hoard::until(closing, &url, count).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Run {
    async fn until(self, closing: CancellationToken) -> anyhow::Result<()> {
        let Some(store) = Store::open(&self.url, self.connections, &closing).await else {
            return Ok(());
        };
        let store = Arc::new(store);
        let mut people = JoinSet::new();
        for follower in &self.followers {
            let how = followers::How {
                rebuild: self.rebuild,
                once: self.once,
            };
            let following = followers::follow(*follower, store.clone(), how, closing.clone());
            people.spawn_local(following);
        }
        if let Some(notes) = &self.reads {
            people.spawn_local(reads::read(store.clone(), notes.clone(), closing.clone()));
        }
        if let Some(path) = &self.journal {
            let journal = Arc::new(Journal::open(path)?);
            self.write(&mut people, &store, &journal, &closing)?;
        }
        self.wait(people, closing).await
    }

    fn write(
        &self,
        people: &mut JoinSet<anyhow::Result<()>>,
        store: &Arc<Store>,
        journal: &Arc<Journal>,
        closing: &CancellationToken,
    ) -> anyhow::Result<()> {
        let desk = |number: u32, salt: u64| {
            let seed = self
                .seed
                .wrapping_mul(1_000_003)
                .wrapping_add(salt * 1_000 + u64::from(number));
            ask::Desk {
                store: store.clone(),
                journal: journal.clone(),
                closing: closing.clone(),
                pause_ms_max: self.pause_ms_max,
                dice: StdRng::seed_from_u64(seed),
            }
        };
        if let Some(path) = &self.earlier {
            let left = resume::read(path).with_context(|| path.display().to_string())?;
            people.spawn_local(resume::repeat(desk(0, 0), left));
        }
        let hot = Arc::new(appends::Hot::default());
        for number in 0..self.appenders {
            let name = format!("{}-{}-{number}", self.name, self.seed);
            people.spawn_local(appends::write(desk(number, 1), name, hot.clone()));
        }
        let repository = Arc::new(counters::repository(store));
        for number in 0..self.counters {
            people.spawn_local(counters::write(desk(number, 2), repository.clone()));
        }
        for number in 0..self.works {
            people.spawn_local(works::write(desk(number, 3)));
        }
        Ok(())
    }

    /// The first who ends before being told ends the process: somebody must look.
    async fn wait(
        &self,
        mut people: JoinSet<anyhow::Result<()>>,
        closing: CancellationToken,
    ) -> anyhow::Result<()> {
        let all = async {
            while let Some(ended) = people.join_next().await {
                ended.context("a task panicked")??;
            }
            anyhow::Ok(())
        };
        let too_long = async {
            closing.cancelled().await;
            tokio::time::sleep(LEAVE_WITHIN).await;
        };
        tokio::select! {
            ended = all => ended,
            () = too_long => anyhow::bail!("{} is not settled {LEAVE_WITHIN:?} after SIGTERM", self.name),
        }
    }
}

async fn told_to_leave() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
