//! `cargo xtask cluster up`: the shop as separate services on this machine, with one view of them, for trying.

mod stage;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{Result, bail};
use shop_cluster::{ADMIN_PASSWORD, Broker, Cluster, table};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

pub(crate) use self::stage::{Kind, Stage};
use crate::workspace;

const READY_WITHIN: Duration = Duration::from_secs(120);
const STOPPED_WITHIN: Duration = Duration::from_secs(40);
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Starts everything, shows how it is, and stops it all at Ctrl-C.
    Up(Up),
}

#[derive(clap::Args)]
struct Up {
    /// What carries messages between the services.
    #[arg(long, value_enum, default_value_t = Kind::None)]
    broker: Kind,
    /// A broker that runs already, by its URL: `kafka://host:port`, for instance.
    #[arg(long, value_name = "URL", conflicts_with = "broker")]
    broker_url: Option<String>,
    /// A database for each context instead of a schema.
    #[arg(long)]
    databases: bool,
    /// The port of the one address.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Stops by itself after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// The optimised build.
    #[arg(long)]
    release: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Action::Up(up) = &options.action;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(stay_up(up))
}

async fn stay_up(up: &Up) -> Result<()> {
    let folder = workspace::target().join("cluster");
    let binary = workspace::programs(&["shop"], up.release)?.join("shop");
    // A Ctrl-C is ours: services are in process groups of their own, where our word is the first that they get.
    let mut signals = Signals::listen()?;
    let stage = Stage::set(&folder, binary, up.broker, up.databases)?;
    let mut plan = stage.plan(folder.join("shop"));
    plan.listen = Some(up.port);
    if let Some(url) = &up.broker_url {
        plan.broker = Broker::At(url.clone());
    }
    println!("starting the processes of the shop; Ctrl-C stops them in order");
    let mut cluster = tokio::select! {
        cluster = Cluster::spawn(plan) => cluster?,
        () = signals.until_stopped() => return Ok(()),
    };
    let outcome = tokio::select! {
        outcome = watch(&mut cluster) => outcome,
        () = signals.until_stopped() => Ok(()),
        () = over(up.seconds) => Ok(()),
    };
    println!("\nstopping: first who serves, then who works");
    cluster.stop(STOPPED_WITHIN).await?;
    println!("all stopped");
    outcome
}

/// Ready once, then the view until somebody ends.
async fn watch(cluster: &mut Cluster) -> Result<()> {
    cluster.ready(READY_WITHIN).await?;
    println!(
        "\n  api     http://{}/api/v1\n  user    admin    password {ADMIN_PASSWORD}\n",
        cluster.address()
    );
    let terminal = std::io::stdout().is_terminal();
    let mut before = String::new();
    loop {
        let text = table(&cluster.view().await);
        if terminal {
            // From the line after the heading on, over what was there.
            let up = before.lines().count();
            let back = if up > 0 {
                format!("\x1b[{up}A\x1b[J")
            } else {
                String::new()
            };
            print!("{back}{text}");
            std::io::stdout().flush()?;
        } else if text != before {
            println!("{text}");
        }
        before = text;
        if let Some(ended) = cluster.ended()? {
            bail!("{ended}");
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What tells us to stop: Ctrl-C, a `kill`, a terminal that is closed.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> Result<Self> {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    async fn until_stopped(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

async fn over(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => sleep(Duration::from_secs(seconds)).await,
        None => std::future::pending().await,
    }
}
