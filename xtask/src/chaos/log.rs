//! `cargo xtask chaos log`: no event skipped, lost, doubled or split, whatever is done to writers, followers, server and network.

mod cast;
mod cooked;
mod hurt;
mod schedule;
mod sheet;
mod stage;

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, ensure};

use super::log_programs::LogPrograms;
use cast::Cast;
use hurt::Hurt;
use schedule::Schedule;
use sheet::Sheet;
use stage::Stage;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long the log is hurt, in minutes; settling and the audit come after it.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Where chance begins; a new one each time unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// How many runs, each with the next seed.
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// Cooks copies of the books afterwards: the auditor must find what was done to them.
    #[arg(long)]
    cook: bool,
    /// The optimised build.
    #[arg(long)]
    release: bool,
    /// Where `log-load` and `log-auditor` are, to hurt those of another version; built unless given.
    #[arg(long)]
    programs: Option<PathBuf>,
}

impl Options {
    /// As `cargo xtask test` runs it.
    pub(crate) fn short() -> Self {
        Self {
            minutes: 1.0,
            seed: None,
            rounds: 1,
            cook: true,
            release: false,
            programs: None,
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    play(
        options,
        &LogPrograms::of(options.programs.as_deref(), options.release)?,
    )
}

pub(crate) fn play(options: &Options, programs: &LogPrograms) -> Result<()> {
    let first = options.seed;
    let first = first.unwrap_or_else(|| u64::from(std::process::id()));
    for seed in first..first + options.rounds {
        round(options, programs, seed)?;
    }
    Ok(())
}

fn round(options: &Options, programs: &LogPrograms, seed: u64) -> Result<()> {
    println!("chaos log: {} minutes, seed {seed}", options.minutes);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let length = Duration::from_secs_f64(options.minutes * 60.0);
    let mut stage = Stage::set(programs)?;
    let sheet = runtime.block_on(perform(&mut stage, programs, seed, length))?;
    print!("{sheet}");
    let database = stage.url();
    let adds_up = programs.audit(&database, &stage.journals(), &cast::FOLLOWERS)?;
    println!(
        "seed {seed}, journals and server in {}",
        stage.folder().display()
    );
    ensure!(
        adds_up && sheet.complaints.is_empty(),
        "the log does not add up: --seed {seed} --minutes {}",
        options.minutes
    );
    if options.cook {
        cooked::all_are_found(&stage, programs)?;
    }
    Ok(())
}

/// The play: everybody enters, is hurt in the order of the schedule, is left alone, settles, and leaves.
async fn perform(
    stage: &mut Stage,
    programs: &LogPrograms,
    seed: u64,
    length: Duration,
) -> Result<Sheet> {
    let mut cast = Cast::enter(programs, stage, seed)?;
    let mut sheet = Sheet::default();
    let mut hurt = Hurt::default();
    let end = tokio::time::Instant::now() + length;
    let mut schedule = Schedule::of(seed);
    let mut rebuilt = false;
    while tokio::time::Instant::now() < end {
        let (pause, fault) = schedule.next();
        tokio::time::sleep(pause).await;
        let half = end - length / 2;
        let fault = if !rebuilt && tokio::time::Instant::now() > half {
            rebuilt = true;
            schedule::Fault::Rebuild
        } else {
            fault
        };
        hurt.apply(fault, stage, &mut cast, &mut sheet).await?;
        cast.look_after(&mut sheet)?;
    }
    hurt.heal(stage, &mut cast, &mut sheet).await?;
    cast.leave(stage, &mut sheet).await?;
    sheet.cuts = stage.proxy().counts();
    Ok(sheet)
}
