//! `cargo xtask cluster up`: the shop as separate services on this machine, with one view of them, for trying.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use shop_cluster::{ADMIN_PASSWORD, Broker, Cluster, Plan, table};
use stanchion_testing::servers::{Cluster as Postgres, Nats, RabbitMq};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::{shell, workspace};

const READY_WITHIN: Duration = Duration::from_secs(120);
const STOPPED_WITHIN: Duration = Duration::from_secs(40);
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Eight services and the gateway, each within its own bound.
const POSTGRES: [&str; 1] = ["max_connections=200"];

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

/// A broker of this machine's own programs.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// No server: workers read the other contexts' logs in their databases.
    None,
    /// NATS with JetStream.
    Nats,
    /// RabbitMQ.
    Rabbitmq,
}

/// A throwaway broker; it ends with this.
struct Server {
    broker: Broker,
    _nats: Option<Nats>,
    _rabbitmq: Option<RabbitMq>,
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
    let stage = Stage::set(&folder, up.broker, up.databases, up.release)?;
    let mut plan = stage.plan(folder.join("shop"));
    plan.listen = Some(up.port);
    println!("starting nine processes of the shop; Ctrl-C stops them in order");
    let mut cluster = Cluster::spawn(plan).await?;
    let outcome = tokio::select! {
        outcome = watch(&mut cluster) => outcome,
        () = told_to_stop(up.seconds) => Ok(()),
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

async fn told_to_stop(seconds: Option<u64>) {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    let over = async {
        match seconds {
            Some(seconds) => sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
        () = over => {}
    }
}

/// The servers under a cluster, and the binary.
struct Stage {
    binary: PathBuf,
    databases: [String; 4],
    server: Server,
    // Last: it ends when everybody has gone.
    _postgres: Postgres,
}

impl Stage {
    fn set(folder: &PathBuf, kind: Kind, databases: bool, release: bool) -> Result<Self> {
        let binary = build(release)?;
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder.join("postgres"))?;
        let mut postgres = Postgres::create(&folder.join("postgres"), &POSTGRES)?;
        postgres.start()?;
        let names = if databases {
            shop_cluster::CONTEXTS
        } else {
            ["shop"; 4]
        };
        for (nth, name) in names.iter().enumerate() {
            if !names[..nth].contains(name) {
                postgres.sql("postgres", &format!("create database {name}"))?;
            }
        }
        Ok(Self {
            binary,
            databases: names.map(|name| postgres.url(name)),
            server: Server::start(kind)?,
            _postgres: postgres,
        })
    }

    fn plan(&self, folder: PathBuf) -> Plan {
        Plan {
            databases: self.databases.clone(),
            ..Plan::on(self.binary.clone(), &folder, "", self.server.broker.clone())
        }
    }
}

impl Server {
    fn start(kind: Kind) -> Result<Self> {
        let (mut nats, mut rabbitmq) = (None, None);
        let broker = match kind {
            Kind::None => Broker::None,
            Kind::Nats => Broker::At(nats.insert(Nats::start()?).url()),
            Kind::Rabbitmq => Broker::At(rabbitmq.insert(RabbitMq::start()?).url().to_owned()),
        };
        Ok(Self {
            broker,
            _nats: nats,
            _rabbitmq: rabbitmq,
        })
    }
}

/// The shop's binary, built now.
fn build(release: bool) -> Result<PathBuf> {
    let mut arguments = vec!["build", "-p", "shop"];
    if release {
        arguments.push("--release");
    }
    let built = shell::aloud(&mut workspace::cargo(&arguments))?;
    ensure!(built, "the shop does not compile");
    let profile = if release { "release" } else { "debug" };
    let folder = workspace::metadata()?.target_directory;
    Ok(folder.join(profile).join("shop").into())
}
