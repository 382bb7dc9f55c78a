//! What a cluster stands on: PostgreSQL, a broker, the binary.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use shop_cluster::{Broker, Plan};
use stanchion_testing::servers::{Cluster as Postgres, Nats, RabbitMq};

use crate::{test::packages, workspace};

/// Twelve services and the gateway, each within its own bound.
const POSTGRES: [&str; 1] = ["max_connections=300"];

/// The database that all contexts share, unless each has its own.
const SHARED: &str = "shop";

/// A broker of this machine's own programs.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// No server: workers read the other contexts' logs in their databases.
    None,
    /// NATS with JetStream.
    Nats,
    /// RabbitMQ.
    Rabbitmq,
    /// What stands in for Kafka, in memory: no registry has a server of it.
    Kafka,
}

/// A throwaway broker; it ends with this.
struct Server {
    broker: Broker,
    nats: Option<Nats>,
    _rabbitmq: Option<RabbitMq>,
    _kafka: Option<StandIn>,
}

/// A process that ends when it is told nothing more.
struct StandIn(Child);

/// The servers under a cluster, and the binary.
pub(crate) struct Stage {
    binary: PathBuf,
    databases: [String; 4],
    server: Server,
    // Last: it ends when everybody has gone.
    postgres: Postgres,
}

impl Stage {
    /// Servers in an empty folder: a database for each context, or one for all.
    pub(crate) fn set(folder: &Path, binary: PathBuf, kind: Kind, databases: bool) -> Result<Self> {
        packages::for_services()?;
        if kind == Kind::Rabbitmq && !RabbitMq::available() {
            packages::install(&["rabbitmq-server"], "RabbitMQ")?;
        }
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder.join("postgres"))?;
        let mut postgres = Postgres::create(&folder.join("postgres"), &POSTGRES)?;
        postgres.start()?;
        let names = if databases {
            shop_cluster::CONTEXTS
        } else {
            [SHARED; 4]
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
            postgres,
        })
    }

    /// The plan of a cluster on them.
    pub(crate) fn plan(&self, folder: PathBuf) -> Plan {
        Plan {
            databases: self.databases.clone(),
            ..Plan::on(self.binary.clone(), &folder, "", self.server.broker.clone())
        }
    }
}

impl Stage {
    /// Its NATS.
    pub(crate) fn nats(&mut self) -> Result<&mut Nats> {
        self.server.nats.as_mut().context("the broker is no NATS")
    }

    /// Of the database that all contexts share.
    pub(crate) fn database(&self) -> &str {
        &self.databases[0]
    }

    /// What that database says.
    pub(crate) fn sql(&self, sql: &str) -> Result<String> {
        self.postgres.sql(SHARED, sql)
    }
}

impl Server {
    fn start(kind: Kind) -> Result<Self> {
        let (mut nats, mut rabbitmq, mut kafka) = (None, None, None);
        let broker = match kind {
            Kind::None => Broker::None,
            Kind::Nats => Broker::At(nats.insert(Nats::start()?).url()),
            Kind::Rabbitmq => Broker::At(rabbitmq.insert(RabbitMq::start()?).url().to_owned()),
            Kind::Kafka => {
                let (stand_in, url) = StandIn::start()?;
                kafka = Some(stand_in);
                Broker::At(url)
            }
        };
        Ok(Self {
            broker,
            nats,
            _rabbitmq: rabbitmq,
            _kafka: kafka,
        })
    }
}

impl StandIn {
    /// Builds it, starts it and waits for its URL.
    fn start() -> Result<(Self, String)> {
        let example = [
            "run",
            "--quiet",
            "-p",
            "stanchion-kafka",
            "--features=stand-in",
            "--example=stand_in",
        ];
        let mut command = workspace::cargo(&example);
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for who stops the services first.
            .process_group(0)
            .spawn()
            .context("what stands in for Kafka did not start")?;
        let said = process.stdout.take().context("it was piped")?;
        let stand_in = Self(process);
        let mut url = String::new();
        BufReader::new(said).read_line(&mut url)?;
        ensure!(!url.is_empty(), "what stands in for Kafka has ended");
        Ok((stand_in, url.trim().to_owned()))
    }
}

impl Drop for StandIn {
    /// Its input ends with this.
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ended = self.0.wait();
    }
}
