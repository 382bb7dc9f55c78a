//! `cargo xtask chaos full`: a disk without room, and a disk that fails, under writers.
//!
//! *Full*: the store lies on a small tmpfs that somebody else fills. Appends are refused in clear words and leave
//! nothing behind, reads go on (SQLite) or come back with the server (PostgreSQL stops when it cannot write its log),
//! and with room again everything goes on without anybody's hand but the supervisor's that starts a server anew.
//!
//! *Failing*: the store lies on an ext4 in a file on that tmpfs: without room below, every write of the device is an
//! I/O error. What was acknowledged must be there once the disk is sound and mounted again.

mod place;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use stanchion_testing::process::{ServiceProcess, Signal};
use tokio::time::{Instant, sleep};

use super::{log_programs::LogPrograms, power::Store};
use crate::workspace;
use place::Place;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often the disk fills up, or fails, for each kind of store.
    #[arg(long, default_value_t = 3)]
    rounds: u64,
    /// Where chance begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The optimised build.
    #[arg(long)]
    release: bool,
    /// Where `log-load` and `log-auditor` are; built unless given.
    #[arg(long)]
    programs: Option<PathBuf>,
}

/// How long there is no room.
const NO_ROOM: Duration = Duration::from_secs(4);
/// From room again to the next acknowledged append, a server's recovery included.
const BACK_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

pub(crate) fn run(options: &Options) -> Result<()> {
    if !super::power::possible()? {
        println!("SKIPPED: a full disk needs root, tmpfs and loop devices");
        return Ok(());
    }
    let programs = LogPrograms::of(options.programs.as_deref(), options.release)?;
    println!(
        "chaos full: {} rounds each, seed {}",
        options.rounds, options.seed
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for kind in ["sqlite", "postgres"] {
        for failing in [false, true] {
            let how = if failing { "failing disk" } else { "full disk" };
            let told = runtime.block_on(Lane::of(kind, failing, &programs, options)?.all());
            let told = told.with_context(|| format!("{kind}, {how}"))?;
            println!("{kind:<9} {how:<13} {told}");
        }
    }
    Ok(())
}

/// One store on one kind of bad disk.
struct Lane<'a> {
    programs: &'a LogPrograms,
    options: &'a Options,
    folder: PathBuf,
    // Before the place: the server ends before its disk goes.
    store: Store,
    place: Place,
    told: Told,
}

/// What was seen.
#[derive(Default)]
struct Told {
    refused: usize,
    reads: usize,
    reads_refused: usize,
    server_starts: u32,
    longest_back: Duration,
}

impl<'a> Lane<'a> {
    fn of(
        kind: &str,
        failing: bool,
        programs: &'a LogPrograms,
        options: &'a Options,
    ) -> Result<Self> {
        let how = if failing { "failing" } else { "full" };
        let folder = workspace::target().join(format!("chaos/full/{kind}-{how}"));
        let place = Place::fresh(&folder, failing)?;
        fs::create_dir_all(folder.join("journals"))?;
        let mut store = Store::create(kind, place.store())?;
        store.start()?;
        programs.prepare(&store.url())?;
        Ok(Self {
            programs,
            options,
            folder,
            store,
            place,
            told: Told::default(),
        })
    }

    async fn all(mut self) -> Result<String> {
        for life in 0..self.options.rounds {
            let mut writer = self.writer(life)?;
            self.until_acks(life, 30, &mut writer).await?;
            self.place.fill()?;
            self.without_room(life, &mut writer).await?;
            if self.place.fails() {
                // The file system has given up; a person mounts it again, and nobody writes meanwhile.
                writer.kill()?;
                self.store.kill()?;
                self.place.empty()?;
                self.place.mount_again()?;
                self.store.start()?;
            } else {
                self.place.empty()?;
                let began = Instant::now();
                self.until_acks(life, self.acks(life) + 5, &mut writer)
                    .await?;
                self.told.longest_back = self.told.longest_back.max(began.elapsed());
                writer.signal(Signal::Terminate)?;
                let left = writer.wait(BACK_WITHIN).await?;
                ensure!(
                    left.success(),
                    "the writer left with {left}\n{}",
                    writer.stderr()
                );
            }
            let sheet =
                self.programs
                    .sheet(&self.store.url(), &self.folder.join("journals"), &[])?;
            ensure!(sheet.contains("findings     none"), "round {life}\n{sheet}");
        }
        self.store.stop()?;
        Ok(self.told.to_string())
    }

    /// A supervisor starts a server that ended; nobody does anything else.
    async fn without_room(&mut self, life: u64, writer: &mut ServiceProcess) -> Result<()> {
        let (began, refused) = (Instant::now(), self.refusals(life));
        let (reads, failed) = self.reads(life);
        while began.elapsed() < NO_ROOM {
            ensure!(
                writer.exited()?.is_none(),
                "the writer ended\n{}",
                writer.stderr()
            );
            self.told.server_starts += u32::from(self.store.start_if_ended().unwrap_or(true));
            self.store.want_a_new_file();
            sleep(POLL).await;
        }
        let refused = self.refusals(life) - refused;
        ensure!(refused > 0, "nothing was refused: the disk was not full");
        self.told.refused += refused;
        let now = self.reads(life);
        self.told.reads += now.0 - reads;
        self.told.reads_refused += now.1 - failed;
        Ok(())
    }

    async fn until_acks(
        &mut self,
        life: u64,
        acks: usize,
        writer: &mut ServiceProcess,
    ) -> Result<()> {
        let began = Instant::now();
        while self.acks(life) < acks {
            ensure!(
                began.elapsed() < BACK_WITHIN && writer.exited()?.is_none(),
                "{} of {acks} appends after {:?}\n{}",
                self.acks(life),
                began.elapsed(),
                writer.stderr()
            );
            self.told.server_starts += u32::from(self.store.start_if_ended().unwrap_or(true));
            sleep(POLL).await;
        }
        Ok(())
    }

    fn writer(&self, life: u64) -> Result<ServiceProcess> {
        let seed = self.options.seed % 1_000_000 * 1_000 + life;
        let mut launch = self.programs.load().arg("run").arg(self.store.url());
        launch = launch.arg("--name=ann").arg(format!("--seed={seed}"));
        for option in [
            "--appenders=6",
            "--counters=2",
            "--works=2",
            "--pause-ms-max=20",
        ] {
            launch = launch.arg(option);
        }
        launch = launch.arg(format!(
            "--journal={}",
            self.file("ann", life, "jsonl").display()
        ));
        launch = launch.arg(format!(
            "--reads={}",
            self.file("reads", life, "txt").display()
        ));
        if let Some(earlier) = life.checked_sub(1) {
            let earlier = self.file("ann", earlier, "jsonl");
            launch = launch.arg(format!("--earlier={}", earlier.display()));
        }
        launch.spawn()
    }

    fn file(&self, name: &str, life: u64, ending: &str) -> PathBuf {
        self.folder.join(format!("journals/{name}-{life}.{ending}"))
    }

    fn acks(&self, life: u64) -> usize {
        self.count(life, r#""what":"ack""#)
    }

    /// Attempts that the store did not take; conflicts are none.
    fn refusals(&self, life: u64) -> usize {
        self.count(life, r#""why":"unavailable""#)
    }

    fn count(&self, life: u64, what: &str) -> usize {
        let journal = fs::read_to_string(self.file("ann", life, "jsonl")).unwrap_or_default();
        journal.matches(what).count()
    }

    /// Reads that were answered, and those that were not.
    fn reads(&self, life: u64) -> (usize, usize) {
        let reads = fs::read_to_string(self.file("reads", life, "txt")).unwrap_or_default();
        let read = reads
            .lines()
            .filter(|line| line.starts_with("read"))
            .count();
        (read, reads.lines().count() - read)
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            refused,
            reads,
            reads_refused,
            server_starts,
            longest_back,
        } = self;
        write!(
            f,
            "{refused} attempts refused and nothing half done; meanwhile {reads} reads answered, {reads_refused} not; \
             server started again {server_starts} times; back within {longest_back:.1?}"
        )
    }
}
