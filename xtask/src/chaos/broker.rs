//! `cargo xtask chaos broker`: a broker that is away, forgets to answer and says things twice.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::{Rng, SeedableRng, rngs::StdRng};
use stanchion_testing::proxy::{Cut, FaultProxy};
use tokio::time::{Instant, sleep};

use super::programs::Programs;
use super::split::{self, Load, Split};
use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long the broker is down, in seconds.
    #[arg(long, default_value_t = 20)]
    down: u64,
    /// How many faults its connections have after that.
    #[arg(long, default_value_t = 40)]
    faults: u32,
    /// Customers who order at the same time.
    #[arg(long, default_value_t = 4)]
    customers: u32,
    /// Where chance begins; a new one each time unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// The optimised build.
    #[arg(long)]
    release: bool,
}

/// Load before, between and after.
const STEADY: Duration = Duration::from_secs(5);
/// Longest time until nobody is behind any more.
const DRAINED_WITHIN: Duration = Duration::from_secs(120);
const BETWEEN_FAULTS_MS: std::ops::Range<u64> = 100..900;
const LATE_MS: std::ops::Range<u64> = 5..60;
const POLL: Duration = Duration::from_millis(250);

pub(crate) fn run(options: &Options) -> Result<()> {
    let programs = Programs::build(options.release)?;
    let seed = options
        .seed
        .unwrap_or_else(|| u64::from(std::process::id()));
    println!(
        "chaos broker: down for {} s, then {} faults, seed {seed}",
        options.down, options.faults
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(hurt(&programs, options, seed))
}

async fn hurt(programs: &Programs, options: &Options, seed: u64) -> Result<()> {
    let folder = workspace::target().join("chaos/broker");
    let mut stage = split::stage(&folder, programs.binary("shop"))?;
    let proxy = FaultProxy::start(stage.nats()?.address())?;
    let through = format!("nats://{}", proxy.address());
    let load = Load {
        customers: options.customers,
        seed,
    };
    let mut shop = Split::start(programs, stage, &folder, 1, Some(through), &load).await?;
    sleep(STEADY).await;
    away(&mut shop, Duration::from_secs(options.down)).await?;
    faults(&proxy, options.faults, seed).await?;
    let counts = proxy.counts();
    println!(
        "faults: {} confirmations lost, {} connections in all",
        counts.cut_replies, counts.connections
    );
    ensure!(
        options.faults < 10 || counts.cut_replies > 0,
        "no confirmation was lost"
    );
    sleep(STEADY).await;
    shop.end(programs).await
}

/// The broker is killed, and comes back.
async fn away(shop: &mut Split, down: Duration) -> Result<()> {
    shop.stage.nats()?.kill()?;
    let began = Instant::now();
    let mut behind = 0;
    while began.elapsed() < down {
        behind = behind.max(shop.lag().await);
        sleep(POLL).await;
    }
    shop.stage.nats()?.restart()?;
    let began = Instant::now();
    // Under the same load: at rest is nobody now.
    while shop.lag().await > behind / 10 {
        ensure!(
            began.elapsed() < DRAINED_WITHIN,
            "the backlog does not get shorter"
        );
        sleep(POLL).await;
    }
    println!(
        "away for {down:.0?}: {behind} positions behind at most, a tenth of that {:.1?} after it came back",
        began.elapsed()
    );
    ensure!(behind > 0, "nobody was behind");
    Ok(())
}

async fn faults(proxy: &FaultProxy, faults: u32, seed: u64) -> Result<()> {
    let mut dice = StdRng::seed_from_u64(seed);
    for _ in 0..faults {
        match dice.random_range(0..4) {
            // The broker has what is published next, and who published it never learns.
            0 | 1 => proxy.cut(Cut::Reply(0), b"pub "),
            // What is said on the new connection overtakes what was on its way on the old one.
            2 => proxy.sever(),
            _ => proxy.delay(Duration::from_millis(dice.random_range(LATE_MS))),
        }
        sleep(Duration::from_millis(dice.random_range(BETWEEN_FAULTS_MS))).await;
    }
    proxy.delay(Duration::ZERO);
    Ok(())
}
