//! The servers of a session: a PostgreSQL, and each broker once it is wanted.

use std::fs;
use std::process::Command;

use anyhow::Result;
use stanchion_testing::servers::{Nats, RabbitMq};

use super::contestants::Broker;
use crate::bench::cluster::{self, Cluster, Database, Disk};
use crate::test::packages;

/// One peer follows the write-ahead log's logical form; the others write it as well then.
const LOGICAL: &str = "wal_level=logical";

pub(super) struct Servers {
    cluster: Cluster,
    nats: Option<Nats>,
    rabbitmq: Option<RabbitMq>,
}

impl Servers {
    pub(super) fn start() -> Result<Self> {
        if !fs::exists("/usr/lib/postgresql")? {
            packages::install(&["postgresql"], "PostgreSQL")?;
        }
        Ok(Self {
            cluster: Cluster::start_with(Disk::Own, &[LOGICAL])?,
            nats: None,
            rabbitmq: None,
        })
    }

    /// What is installed, for the page.
    pub(super) fn versions(&self) -> Result<String> {
        let first = |program: &str, argument: &str| {
            let asked = crate::shell::quiet(Command::new(program).arg(argument));
            let said = asked.unwrap_or_else(|_| format!("no {program}"));
            said.lines().next().unwrap_or_default().trim().to_owned()
        };
        Ok(format!(
            "PostgreSQL {} with {} {LOGICAL}, {}, RabbitMQ {}",
            self.cluster.version()?,
            cluster::SETTINGS.join(" "),
            first("nats-server", "--version"),
            first("rabbitmqctl", "version"),
        ))
    }

    /// An empty database for a driver, and the broker's address in its environment.
    pub(super) fn fresh(&mut self, broker: Broker, command: &mut Command) -> Result<Database> {
        let database = self.cluster.fresh_database()?;
        database.announce(command)?;
        command.env("BROKER", self.broker(broker)?);
        Ok(database)
    }

    /// Where the broker is. It is a new one for each run: what an earlier one left is nobody's load.
    fn broker(&mut self, broker: Broker) -> Result<String> {
        Ok(match broker {
            Broker::InProcess => "memory".to_owned(),
            Broker::Nats => {
                if !Nats::available() {
                    packages::install(&["nats-server"], "NATS")?;
                }
                drop(self.nats.take());
                self.nats.insert(Nats::start()?).url()
            }
            Broker::RabbitMq => {
                if !RabbitMq::available() {
                    packages::install(&["rabbitmq-server"], "RabbitMQ")?;
                }
                drop(self.rabbitmq.take());
                self.rabbitmq.insert(RabbitMq::start()?).url().to_owned()
            }
        })
    }
}
