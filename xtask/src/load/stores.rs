//! The stores that every service stands on: a durable PostgreSQL and a Redis, thrown away in the end.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use stanchion_testing::servers::{Postgres, Redis};

use crate::{shell, test::packages};

pub(super) struct Stores {
    postgres: Postgres,
    redis: Mutex<Redis>,
}

impl Stores {
    /// Installs what is missing and starts both.
    pub(super) fn start() -> Result<Self> {
        if !Postgres::available() {
            packages::install(&["postgresql"], "PostgreSQL")?;
        }
        if !Redis::available() {
            packages::install(&["redis-server"], "Redis")?;
        }
        Ok(Self {
            postgres: Postgres::start()?,
            redis: Mutex::new(Redis::start()?),
        })
    }

    /// An empty database, after a checkpoint, and an empty Redis.
    pub(super) fn fresh(&self) -> Result<String> {
        self.with_redis(|redis| redis.command("FLUSHALL"))?;
        let url = self.postgres.fresh_database()?;
        shell::quiet(psql(&url).args(["--command", "checkpoint"]))?;
        Ok(url)
    }

    pub(super) fn redis_url(&self) -> String {
        self.with_redis(|redis| redis.url())
    }

    /// Connections are reset, everything is forgotten.
    pub(super) fn kill_redis(&self) -> Result<()> {
        self.with_redis(Redis::kill)
    }

    /// It comes back empty, where it was.
    pub(super) fn restart_redis(&self) -> Result<()> {
        self.with_redis(Redis::restart)
    }

    fn with_redis<T>(&self, what: impl FnOnce(&mut Redis) -> T) -> T {
        what(&mut self.redis.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a file of SQL there.
    pub(super) fn apply(url: &str, file: &Path) -> Result<()> {
        shell::quiet(psql(url).arg("--file").arg(file)).map(drop)
    }

    /// What is installed, for the page.
    pub(super) fn versions(&self) -> Result<String> {
        let mut show = psql(self.postgres.url());
        show.args([
            "--tuples-only",
            "--no-align",
            "--command",
            "show server_version",
        ]);
        let redis = shell::quiet(Command::new("redis-server").arg("--version"))?;
        let redis = redis.split_whitespace().find(|word| word.starts_with("v="));
        Ok(format!(
            "PostgreSQL {} with fsync, Redis {}",
            shell::quiet(&mut show)?.trim(),
            redis.unwrap_or("?").trim_start_matches("v=")
        ))
    }
}

fn psql(url: &str) -> Command {
    let mut psql = Command::new("psql");
    psql.args([
        "--no-psqlrc",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        "--dbname",
        url,
    ]);
    psql
}
