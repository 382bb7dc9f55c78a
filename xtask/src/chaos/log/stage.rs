//! Where it happens: a PostgreSQL of its own, a proxy before it, a folder for the journals.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result};
use stanchion_testing::{process::Launch, proxy::FaultProxy, servers::Cluster};

use crate::{chaos::log_programs::LogPrograms, workspace};

const DATABASE: &str = "chaos";

/// Another database of the same server: what happens there must not concern the log.
pub(super) const ELSEWHERE: &str = "elsewhere";

/// Few enough that somebody can take them all.
const SETTINGS: [&str; 2] = ["max_connections=70", "log_line_prefix=%m [%p] %d "];

pub(super) struct Stage {
    server: Cluster,
    proxy: FaultProxy,
    load: Launch,
    folder: PathBuf,
}

impl Stage {
    pub(super) fn set(programs: &LogPrograms) -> Result<Self> {
        let folder = workspace::target().join("chaos/log");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(folder.join("journals"))?;
        fs::create_dir_all(folder.join("server"))?;
        let mut server = Cluster::create(&folder.join("server"), &SETTINGS)?;
        server.start()?;
        for database in [DATABASE, ELSEWHERE] {
            server.sql("postgres", &format!("create database {database}"))?;
            server.sql(database, "create table unrelated (n int)")?;
        }
        programs.prepare(&server.url(DATABASE))?;
        let proxy = FaultProxy::start(server.address())?;
        Ok(Self {
            server,
            proxy,
            load: programs.load(),
            folder,
        })
    }

    pub(super) fn server(&mut self) -> &mut Cluster {
        &mut self.server
    }

    pub(super) fn proxy(&self) -> &FaultProxy {
        &self.proxy
    }

    /// The writers' and followers' program, for whoever takes connections away.
    pub(super) fn load(&self) -> Launch {
        self.load.clone()
    }

    /// Straight to the server.
    pub(super) fn url(&self) -> String {
        self.server.url(DATABASE)
    }

    /// Through the proxy.
    pub(super) fn url_through_proxy(&self) -> String {
        let (to, through) = (self.server.address(), self.proxy.address());
        self.url().replace(&to.to_string(), &through.to_string())
    }

    /// Another database of the server, by name.
    pub(super) fn url_of(&self, database: &str) -> String {
        self.server.url(database)
    }

    pub(super) fn sql(&self, sql: &str) -> Result<String> {
        self.server.sql(DATABASE, sql)
    }

    pub(super) fn sql_in(&self, database: &str, sql: &str) -> Result<String> {
        self.server.sql(database, sql)
    }

    /// Nobody may be connected to the original.
    pub(super) fn copy_database(&self, copy: &str) -> Result<()> {
        let sql = format!("create database {copy} template {DATABASE}");
        self.sql_in("postgres", &sql).map(drop)
    }

    /// SQL that goes on beside us; it ends with the child.
    pub(super) fn sql_beside(&self, elsewhere: bool, sql: &str) -> Result<std::process::Child> {
        let database = if elsewhere { ELSEWHERE } else { DATABASE };
        Ok(self.server.psql(database, sql)?.spawn()?)
    }

    /// Statements one after the other in one session, which goes on beside us.
    pub(super) fn session(&self, statements: &[&str]) -> Result<std::process::Child> {
        let (first, others) = statements.split_first().context("no statement")?;
        let mut session = self.server.psql(DATABASE, first)?;
        for statement in others {
            session.args(["--command", statement]);
        }
        // A few short lines; nobody reads them.
        Ok(session
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?)
    }

    /// Whether the server is told to wait for a replica, now or when it starts again.
    pub(super) fn waits_for_a_ghost(&self) -> Result<bool> {
        let settings = self.folder.join("server/data/postgresql.auto.conf");
        Ok(fs::read_to_string(settings)?.contains("synchronous_standby_names"))
    }

    /// The process ids of the log's connections, in a stable order.
    pub(super) fn backends(&self) -> Result<Vec<u32>> {
        let pids = self.sql(
            "select pid from pg_stat_activity where application_name = 'chaos' order by backend_start, pid",
        )?;
        Ok(pids.lines().filter_map(|pid| pid.parse().ok()).collect())
    }

    pub(super) fn journals(&self) -> PathBuf {
        self.folder.join("journals")
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}
