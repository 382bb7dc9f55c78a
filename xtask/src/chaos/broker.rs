//! `cargo xtask chaos broker`: a broker that is away, forgets to answer and says things twice.
//!
//! While it is away who orders must not notice: the p99 of taking an order is at most 1.1 times of what it was before, where
//! there are enough orders to have one (`--down 600`, or more customers). The lag tells of what waits, and when the broker is
//! back that goes at twice the rate of what comes, at least.

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
    /// Longest pause of a customer between two orders, in milliseconds.
    #[arg(long, default_value_t = split::PAUSE_MS_MAX)]
    pause_ms_max: u64,
    /// How many times as long as before taking an order may take at the 99th of a hundred, while the broker is away.
    #[arg(long, default_value_t = 1.1)]
    p99_times: f64,
    /// Where chance begins; a new one each time unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// The optimised build.
    #[arg(long)]
    release: bool,
}

/// Load at the beginning, between and after.
const STEADY: Duration = Duration::from_secs(5);
/// Longest time until nobody is behind any more, if the broker was not away for longer.
const DRAINED_WITHIN: Duration = Duration::from_secs(120);
/// Relays and members are back within this, however short the broker was away.
const BACK_WITHIN: Duration = Duration::from_secs(15);
/// The backlog goes so many times as quickly as what comes.
const DRAIN_TIMES: f64 = 2.0;
/// A p99 of fewer orders is a matter of one or two of them: it is told, not judged.
const JUDGED_FROM: usize = 300;
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
        pause_ms_max: options.pause_ms_max,
    };
    let mut shop = Split::start(programs, stage, &folder, 1, Some(through), &load).await?;
    let down = Duration::from_secs(options.down);
    // Who has just started is slow, and that is not what it is compared with.
    sleep(STEADY).await;
    let begun = shop.noted();
    // As many orders as while it is away, and looked at as often: to look is work, too.
    furthest(&shop, down.max(STEADY)).await;
    let gone = shop.noted();
    let (behind, back) = away(&mut shop, down).await?;
    let (before, meanwhile) = (shop.taking(begun..gone)?, shop.taking(gone..back)?);
    unaffected(&before, &meanwhile, options.p99_times)?;
    // Each of them is one to be announced; the figure is a moment old.
    ensure!(
        behind * 2 >= meanwhile.len() as u64,
        "{} orders were taken, and the lag tells of {behind}",
        meanwhile.len()
    );
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

/// The broker is killed, and comes back: how far somebody was behind at most, and what customers had noted by then.
async fn away(shop: &mut Split, down: Duration) -> Result<(u64, usize)> {
    shop.stage.nats()?.kill()?;
    let behind = furthest(shop, down).await;
    let back = shop.noted();
    shop.stage.nats()?.restart()?;
    let began = Instant::now();
    // Under the same load: at rest is nobody now.
    while shop.lag().await > behind / 10 {
        ensure!(
            began.elapsed() < DRAINED_WITHIN.max(down),
            "the backlog does not get shorter"
        );
        sleep(POLL).await;
    }
    let took = began.elapsed();
    // Nine tenths of what came while it was away went, and what came meanwhile as well.
    let times = 1.0 + 0.9 * down.as_secs_f64() / took.as_secs_f64();
    println!(
        "away for {down:.0?}: {behind} positions behind at most, a tenth of that {took:.1?} after it came back: {times:.1} times the rate of what comes"
    );
    ensure!(behind > 0, "nobody was behind");
    ensure!(
        times >= DRAIN_TIMES || took < BACK_WITHIN,
        "the backlog goes too slowly: {times:.1} times the rate of what comes, {DRAIN_TIMES} are asked for"
    );
    Ok((behind, back))
}

/// How far somebody was behind at most in this time.
async fn furthest(shop: &Split, time: Duration) -> u64 {
    let began = Instant::now();
    let mut behind = 0;
    while began.elapsed() < time {
        behind = behind.max(shop.lag().await);
        sleep(POLL).await;
    }
    behind
}

/// Whether who orders noticed nothing: times of taking an order, in order.
fn unaffected(before: &[Duration], meanwhile: &[Duration], times_max: f64) -> Result<()> {
    let (was, is) = (p99(before), p99(meanwhile));
    let times = is.as_secs_f64() / was.as_secs_f64().max(f64::MIN_POSITIVE);
    let judged = before.len().min(meanwhile.len()) >= JUDGED_FROM;
    println!(
        "taking an order: p99 {was:.1?} of {} before, {is:.1?} of {} without the broker: {times:.2} times{}",
        before.len(),
        meanwhile.len(),
        if judged {
            ""
        } else {
            " (too few to be judged)"
        }
    );
    ensure!(
        !judged || times <= times_max,
        "who orders waits for the broker: {times:.2} times, {times_max} are allowed"
    );
    Ok(())
}

/// Of times in order.
fn p99(times: &[Duration]) -> Duration {
    let nth = (times.len() * 99).div_ceil(100).saturating_sub(1);
    times.get(nth).copied().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn times(count: u64) -> Vec<Duration> {
        (1..=count).map(Duration::from_millis).collect()
    }

    #[test]
    fn who_orders_may_be_a_tenth_slower_without_the_broker() {
        assert_eq!(p99(&times(1_000)), Duration::from_millis(990));
        let slower = |by: f64| -> Vec<Duration> {
            let all = times(1_000).into_iter();
            all.map(|time| time.mul_f64(by)).collect()
        };
        assert!(unaffected(&times(1_000), &slower(1.09), 1.1).is_ok());
        assert!(unaffected(&times(1_000), &slower(1.11), 1.1).is_err());
        // The worst of a few tells nothing.
        assert!(unaffected(&times(10), &times(20), 1.1).is_ok());
    }
}
