//! What a cluster stands on: PostgreSQL, a broker, the binary.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use shop_cluster::{Broker, Plan};
use stanchion_testing::servers::{Cluster as Postgres, Nats, RabbitMq};

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
}

/// A throwaway broker; it ends with this.
struct Server {
    broker: Broker,
    nats: Option<Nats>,
    _rabbitmq: Option<RabbitMq>,
}

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
        let (mut nats, mut rabbitmq) = (None, None);
        let broker = match kind {
            Kind::None => Broker::None,
            Kind::Nats => Broker::At(nats.insert(Nats::start()?).url()),
            Kind::Rabbitmq => Broker::At(rabbitmq.insert(RabbitMq::start()?).url().to_owned()),
        };
        Ok(Self {
            broker,
            nats,
            _rabbitmq: rabbitmq,
        })
    }
}
