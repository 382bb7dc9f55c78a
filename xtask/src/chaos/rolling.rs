//! `cargo xtask chaos rolling`: two instances of the shop are restarted in turn under load, and nobody notices.
//!
//! Once with clients that talk to both instances and go when they are told to (`Connection: close`, GOAWAY), once
//! with HAProxy before them, which looks at `/ready`. Both instances share a PostgreSQL and a payment gateway.

mod proxy;
mod stage;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep};

use super::programs::Programs;
use crate::{test::packages, workspace};
use proxy::Proxy;
use stage::{Instance, Stage};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Restarts of an instance, one instance after the other.
    #[arg(long, default_value_t = 20)]
    restarts: u32,
    /// Requests a second, all protocols together.
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// Where chance begins; a new one each time unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// Only with clients that talk to both instances, or only behind HAProxy.
    #[arg(long)]
    only: Option<Way>,
    /// The optimised build.
    #[arg(long)]
    release: bool,
}

/// How clients come to the instances.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    Directly,
    Haproxy,
}

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(40);
/// The load's own end, with all that waits.
const LEFT_WITHIN: Duration = Duration::from_secs(40);
/// From ready to the next restart: clients and the balancer come back meanwhile.
const PAUSE_MS: std::ops::Range<u64> = 1_500..2_500;
/// Until HAProxy has all requests in its books, once the instances are gone.
const COUNTED_WITHIN: Duration = Duration::from_secs(10);
/// Longest time until the load has its customer and its order.
const BEGUN_WITHIN: Duration = Duration::from_secs(30);

pub(crate) fn run(options: &Options) -> Result<()> {
    let programs = Programs::build(options.release)?;
    let seed = options
        .seed
        .unwrap_or_else(|| u64::from(std::process::id()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut clean = true;
    for (way, said) in [
        (Way::Directly, "directly"),
        (Way::Haproxy, "behind HAProxy"),
    ] {
        if options.only.is_some_and(|only| only != way) {
            continue;
        }
        println!(
            "chaos rolling {said}: {} restarts, {} requests a second, seed {seed}",
            options.restarts, options.rate
        );
        clean &= runtime.block_on(roll(&programs, way, options, seed))?;
    }
    ensure!(clean, "somebody noticed: --seed {seed}");
    Ok(())
}

/// Whether nobody noticed.
async fn roll(programs: &Programs, way: Way, options: &Options, seed: u64) -> Result<bool> {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut stage = Stage::set(programs, &workspace::target().join("chaos/rolling")).await?;
    for instance in &mut stage.instances {
        instance.start(READY_WITHIN).await?;
    }
    let proxy = match way {
        Way::Directly => None,
        Way::Haproxy => {
            if !Proxy::is_installed() {
                packages::install(&["haproxy"], "HAProxy")?;
            }
            Some(Proxy::start(&stage).await?)
        }
    };
    let (http1, http2) = match &proxy {
        Some(proxy) => (proxy.http1(), proxy.http2()),
        None => (stage.addresses(), stage.addresses()),
    };
    let mut load = programs
        .rolling(&http1, &http2, options.rate, seed)
        .spawn()?;
    let began = Instant::now();
    while !load.stdout().contains("under load") {
        let late = began.elapsed() > BEGUN_WITHIN || load.exited()?.is_some();
        ensure!(!late, "the load did not begin\n{}", load.stderr());
        sleep(Duration::from_millis(50)).await;
    }
    let restarted = restart_all(&mut stage, proxy.as_ref(), options.restarts, &mut dice).await;
    // What clients met is told whatever became of the instances.
    let left = load.terminate(LEFT_WITHIN).await?;
    print!(
        "{}{}",
        load.stdout().replace("under load\n", ""),
        load.stderr()
    );
    let (mut stops, mut starts) = restarted?;
    println!(
        "stopped within {}, ready within {}",
        spread(&mut stops),
        spread(&mut starts)
    );
    for instance in &mut stage.instances {
        instance.stop(STOPPED_WITHIN).await?;
    }
    let mut contradicted = false;
    if let Some(proxy) = &proxy {
        // Behind the stops: a stream that its client left ends in HAProxy's books when its service ends it.
        let counted = proxy.counted(COUNTED_WITHIN).await?;
        println!("{counted}");
        contradicted = counted.contradicts();
        if contradicted || !left.success() {
            println!("HAProxy said:\n{}", proxy.said());
        }
    }
    Ok(left.success() && !contradicted)
}

/// How long each stop and each start took.
type Took = (Vec<Duration>, Vec<Duration>);

async fn restart_all(
    stage: &mut Stage,
    proxy: Option<&Proxy>,
    restarts: u32,
    dice: &mut StdRng,
) -> Result<Took> {
    let (mut stops, mut starts) = (Vec::new(), Vec::new());
    for restart in 0..restarts {
        sleep(Duration::from_millis(dice.random_range(PAUSE_MS))).await;
        if let Some(proxy) = proxy {
            proxy.sees_both(READY_WITHIN).await?;
        }
        let instance = &mut stage.instances[restart as usize % 2];
        let restarted = restart_one(instance).await;
        let (stop, start) = restarted.with_context(|| format!("restart {}", restart + 1))?;
        stops.push(stop);
        starts.push(start);
    }
    sleep(Duration::from_millis(PAUSE_MS.end)).await;
    Ok((stops, starts))
}

async fn restart_one(instance: &mut Instance) -> Result<(Duration, Duration)> {
    let stop = instance.stop(STOPPED_WITHIN).await?;
    let start = instance.start(READY_WITHIN).await?;
    Ok((stop, start))
}

fn spread(all: &mut [Duration]) -> String {
    all.sort_unstable();
    let (Some(median), Some(longest)) = (all.get(all.len() / 2), all.last()) else {
        return "-".into();
    };
    format!("{median:.1?} (median) to {longest:.1?}")
}
