//! `cargo xtask chaos kill`: whatever is acknowledged survives `kill -9`, exactly once.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rand::{Rng, SeedableRng, rngs::StdRng};
use stanchion_testing::process::{Launch, ServiceProcess};
use tokio::time::sleep;

use super::programs::Programs;
use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often the shop is killed.
    #[arg(long, default_value_t = 50)]
    rounds: u32,
    /// Where chance begins; a new one each time unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// Customers who order at the same time.
    #[arg(long, default_value_t = 8)]
    customers: u32,
    /// Longest life of the shop between two kills, in milliseconds.
    #[arg(long, default_value_t = 2_000)]
    life_ms_max: u64,
    /// The optimised build.
    #[arg(long)]
    release: bool,
}

/// One round in so many is killed while it still starts.
const EARLY_KILLS: f64 = 0.1;
const EARLY_MS_MAX: u64 = 150;
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Longest time until the last orders are settled and everybody has stopped.
const SETTLED_WITHIN: Duration = Duration::from_secs(180);
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn run(options: &Options) -> Result<()> {
    let programs = Programs::build(options.release)?;
    let seed = options
        .seed
        .unwrap_or_else(|| u64::from(std::process::id()));
    println!("chaos kill: {} rounds, seed {seed}", options.rounds);
    let folder = fresh_folder()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(hurt(&programs, &folder, options, seed))?;
    let (data, ledger) = (folder.join("data"), folder.join("ledger.jsonl"));
    let adds_up = programs.audit(&data, &ledger)?;
    println!("seed {seed}, stores and ledger in {}", folder.display());
    ensure!(
        adds_up,
        "the books do not add up: --seed {seed} --rounds {}",
        options.rounds
    );
    Ok(())
}

/// Load from before the first start until after the last: customers see every outage.
async fn hurt(programs: &Programs, folder: &Path, options: &Options, seed: u64) -> Result<()> {
    let mut dice = StdRng::seed_from_u64(seed);
    let (shop, url) = programs.shop(folder)?;
    let ledger = folder.join("ledger.jsonl");
    let mut load = programs
        .load(&url, &ledger, options.customers, seed)
        .spawn()?;
    let mut starts = Vec::new();
    for round in 1..=options.rounds {
        let mut process = shop.spawn()?;
        if dice.random_bool(EARLY_KILLS) {
            sleep(Duration::from_millis(dice.random_range(0..EARLY_MS_MAX))).await;
        } else {
            starts.push(process.ready(READY_WITHIN).await?);
            sleep(Duration::from_millis(
                dice.random_range(0..options.life_ms_max),
            ))
            .await;
        }
        if let Some(status) = process.exited()? {
            bail!(
                "round {round}: the shop ended by itself: {status}\n{}",
                process.stderr()
            );
        }
        process.kill()?;
        complain_of_panics(&process, round)?;
    }
    let last = settle(&shop, &mut load).await?;
    starts.push(last);
    starts.sort_unstable();
    let (median, longest) = (starts[starts.len() / 2], starts[starts.len() - 1]);
    println!("ready after a kill: median {median:.0?}, longest {longest:.0?}");
    Ok(())
}

/// The shop lives on until the customers have seen all their orders settled; then it stops in good order.
async fn settle(shop: &Launch, load: &mut ServiceProcess) -> Result<Duration> {
    let mut process = shop.spawn()?;
    let ready = process.ready(READY_WITHIN).await?;
    let left = load.terminate(SETTLED_WITHIN).await;
    let left = left.with_context(|| format!("the customers do not leave\n{}", process.stderr()))?;
    println!("customers: {}", load.stdout().trim());
    ensure!(
        left.success(),
        "the customers left with {left}\n{}",
        load.stderr()
    );
    // What was settled for customers may still be under way to lists and to the gateway's books.
    sleep(Duration::from_secs(2)).await;
    let stopped = process.terminate(STOPPED_WITHIN).await?;
    ensure!(
        stopped.success(),
        "the shop stopped with {stopped}\n{}",
        process.stderr()
    );
    Ok(ready)
}

fn complain_of_panics(process: &ServiceProcess, round: u32) -> Result<()> {
    let said = format!("{}{}", process.stdout(), process.stderr());
    match said.lines().find(|line| line.contains("panicked")) {
        Some(line) => bail!("round {round}: {line}"),
        None => Ok(()),
    }
}

/// Kept after the run, so that what does not add up can be looked at.
fn fresh_folder() -> Result<PathBuf> {
    let folder = workspace::target().join("chaos");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
