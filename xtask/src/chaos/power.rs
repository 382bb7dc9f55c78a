//! `cargo xtask chaos power`: whatever is acknowledged survives a power cut.
//!
//! The store lies on an ext4 in a file. A cut stops everybody, copies the file as it is, and goes on with the copy:
//! what the file system above had not written yet is gone, as it is when the power goes. The model is kind: what
//! reached the device is whole and in order. A file that nobody synced is written before each cut and must be gone
//! after it, or the cut proves nothing.

mod disk;
mod store;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use rand::{Rng, SeedableRng, rngs::StdRng};
use stanchion_testing::process::{ServiceProcess, Signal};
use tokio::time::{Instant, sleep};

use super::log_programs::LogPrograms;
use crate::workspace;
pub(super) use disk::{Disk, possible, run as command};
pub(super) use store::Store;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often the power goes, for each kind of store.
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// Where chance begins; a new one each time unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// Longest time from the first acknowledged append of a life to the cut, in milliseconds.
    #[arg(long, default_value_t = 2_500)]
    life_ms_max: u64,
    /// The optimised build.
    #[arg(long)]
    release: bool,
    /// Where `log-load` and `log-auditor` are, to cut those of another version; built unless given.
    #[arg(long)]
    programs: Option<PathBuf>,
}

/// From the start on the copy, with recovery, to the first acknowledged append.
const BACK_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// Followers that write rows beside their checkpoints while the power goes.
const FOLLOWERS: [&str; 2] = ["each", "fold"];

/// What the cuts of one store came to.
#[derive(Default)]
struct Balance {
    cuts: u64,
    /// Cuts after which the file that nobody synced was gone.
    canaries_gone: u64,
    acknowledged: usize,
    longest_back: Duration,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if !possible()? {
        println!("SKIPPED: a power cut needs root, loop devices and mkfs.ext4");
        return Ok(());
    }
    let programs = LogPrograms::of(options.programs.as_deref(), options.release)?;
    let seed = options.seed;
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("chaos power: {} cuts each, seed {seed}", options.rounds);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for kind in ["sqlite", "postgres"] {
        let cuts = runtime.block_on(Cuts::of(kind, &programs, options, seed)?.all());
        let balance = cuts.with_context(|| format!("{kind}: --seed {seed}"))?;
        println!(
            "{kind:<12} {} cuts, {} appends acknowledged before them, none lost; the file nobody synced was gone {} times; \
             back to the first append within {:.1?}",
            balance.cuts, balance.acknowledged, balance.canaries_gone, balance.longest_back
        );
    }
    Ok(())
}

/// One store through all its cuts: each begins on what the one before left.
struct Cuts<'a> {
    programs: &'a LogPrograms,
    options: &'a Options,
    folder: PathBuf,
    disk: Disk,
    store: Store,
    dice: StdRng,
    balance: Balance,
}

impl<'a> Cuts<'a> {
    fn of(kind: &str, programs: &'a LogPrograms, options: &'a Options, seed: u64) -> Result<Self> {
        let folder = workspace::target().join("chaos/power").join(kind);
        let disk = Disk::fresh(&folder)?;
        fs::create_dir_all(folder.join("journals"))?;
        let mut store = Store::create(kind, disk.place())?;
        store.start()?;
        programs.prepare(&store.url())?;
        Ok(Self {
            programs,
            options,
            disk,
            store,
            dice: StdRng::seed_from_u64(seed),
            balance: Balance::default(),
            folder,
        })
    }

    async fn all(mut self) -> Result<Balance> {
        for life in 0..self.options.rounds {
            self.live_until_cut(life).await?;
            let sheet = self.audit(&[])?;
            ensure!(
                sheet.contains("findings     none"),
                "cut {life} lost something\n{sheet}"
            );
            self.balance.cuts += 1;
        }
        self.settle().await?;
        self.store.stop()?;
        Ok(self.balance)
    }

    async fn live_until_cut(&mut self, life: u64) -> Result<()> {
        let began = Instant::now();
        let mut writer = self.writer(life)?;
        self.first_ack(life, &mut writer, began).await?;
        let rest = self.dice.random_range(0..self.options.life_ms_max);
        sleep(Duration::from_millis(rest)).await;
        let canary = format!("canary-{life}");
        fs::write(self.disk.place().join(&canary), vec![b'x'; 10_000])?;
        writer.signal(Signal::Stop)?;
        self.store.freeze()?;
        let acks = self.acks(life);
        self.disk.copy()?;
        writer.kill()?;
        self.store.kill()?;
        self.disk.go_on_with_the_copy()?;
        let left = fs::metadata(self.disk.place().join(&canary));
        let gone = left.map_or(true, |file| file.len() == 0);
        self.balance.canaries_gone += u64::from(gone);
        self.balance.acknowledged += acks;
        ensure!(gone, "cut {life} lost nothing at all: it was no power cut");
        self.store.start()
    }

    fn writer(&self, life: u64) -> Result<ServiceProcess> {
        let seed = self.options.seed.unwrap_or(1) % 1_000_000 * 1_000 + life;
        let mut launch = self.programs.load().arg("run").arg(self.store.url());
        launch = launch.arg("--name=ann").arg(format!("--seed={seed}"));
        for option in [
            "--appenders=8",
            "--counters=3",
            "--works=3",
            "--pause-ms-max=20",
        ] {
            launch = launch.arg(option);
        }
        launch = launch.arg(format!("--followers={}", FOLLOWERS.join(",")));
        launch = launch.arg(format!("--journal={}", self.journal(life).display()));
        if let Some(earlier) = life.checked_sub(1) {
            launch = launch.arg(format!("--earlier={}", self.journal(earlier).display()));
        }
        launch.spawn()
    }

    async fn first_ack(
        &mut self,
        life: u64,
        writer: &mut ServiceProcess,
        began: Instant,
    ) -> Result<()> {
        while self.acks(life) == 0 {
            let ended = writer.exited()?;
            ensure!(
                ended.is_none() && began.elapsed() < BACK_WITHIN,
                "life {life} does not get to its first append: {ended:?}\n{}",
                writer.stderr()
            );
            sleep(POLL).await;
        }
        self.balance.longest_back = self.balance.longest_back.max(began.elapsed());
        Ok(())
    }

    /// Followers come to the end, and what they have is audited with the rest.
    async fn settle(&mut self) -> Result<()> {
        let mut launch = self.programs.load().arg("run").arg(self.store.url());
        launch = launch.arg("--name=late").arg("--once");
        launch = launch.arg(format!("--followers={}", FOLLOWERS.join(",")));
        let mut process = launch.spawn()?;
        let ended = process.wait(BACK_WITHIN).await?;
        ensure!(
            ended.success(),
            "the followers: {ended}\n{}",
            process.stderr()
        );
        let sheet = self.audit(&FOLLOWERS)?;
        print!("{sheet}");
        ensure!(sheet.contains("findings     none"), "the last audit");
        Ok(())
    }

    fn audit(&self, followers: &[&str]) -> Result<String> {
        let journals = self.folder.join("journals");
        self.programs.sheet(&self.store.url(), &journals, followers)
    }

    fn journal(&self, life: u64) -> PathBuf {
        self.folder.join(format!("journals/ann-{life}.jsonl"))
    }

    fn acks(&self, life: u64) -> usize {
        let journal = fs::read_to_string(self.journal(life)).unwrap_or_default();
        journal.matches(r#""what":"ack""#).count()
    }
}
