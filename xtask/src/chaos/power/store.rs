//! A store on a disk whose power goes.

use std::{fs, path::Path};

use anyhow::Result;
use stanchion_testing::servers::Cluster;

/// The disk is small, and few files of the write-ahead log are kept for later: a new one needs room.
const SETTINGS: [&str; 3] = [
    "min_wal_size=2MB",
    "max_wal_size=32MB",
    "max_connections=60",
];

const DATABASE: &str = "postgres";

pub(in crate::chaos) enum Store {
    /// A folder; whoever writes is its server.
    Sqlite(String),
    Postgres(Box<Cluster>),
}

impl Store {
    pub(in crate::chaos) fn create(kind: &str, disk: &Path) -> Result<Self> {
        if kind == "sqlite" {
            let folder = disk.join("data");
            return Ok(Self::Sqlite(format!("sqlite://{}", folder.display())));
        }
        let folder = disk.join("server");
        fs::create_dir(&folder)?;
        let cluster = Cluster::create(&folder, &SETTINGS)?;
        Ok(Self::Postgres(Box::new(cluster)))
    }

    pub(in crate::chaos) fn url(&self) -> String {
        match self {
            Self::Sqlite(url) => url.clone(),
            Self::Postgres(cluster) => cluster.url(DATABASE),
        }
    }

    pub(in crate::chaos) fn start(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(cluster) => cluster.start(),
        }
    }

    /// As a supervisor does; whether it had ended.
    pub(in crate::chaos) fn start_if_ended(&mut self) -> Result<bool> {
        let Self::Postgres(cluster) = self else {
            return Ok(false);
        };
        if cluster.runs()? {
            return Ok(false);
        }
        cluster.start().map(|()| true)
    }

    /// Asks for the next file of the write-ahead log now instead of after a mebibyte.
    pub(in crate::chaos) fn want_a_new_file(&self) {
        if let Self::Postgres(cluster) = self {
            // It may be down, or refuse.
            let _asked = cluster.sql(DATABASE, "select pg_switch_wal()");
        }
    }

    /// Nothing is written from here on. The postmaster first: it would start new processes.
    pub(in crate::chaos) fn freeze(&mut self) -> Result<()> {
        self.all("STOP")
    }

    pub(in crate::chaos) fn kill(&mut self) -> Result<()> {
        // It may have ended by itself, without room for its log.
        let _gone = self.all("KILL");
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(cluster) => cluster.crash(),
        }
    }

    pub(in crate::chaos) fn stop(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(cluster) => cluster.stop(),
        }
    }

    fn all(&self, signal: &str) -> Result<()> {
        let Self::Postgres(cluster) = self else {
            return Ok(());
        };
        for process in cluster.processes()? {
            cluster.signal(signal, process)?;
        }
        Ok(())
    }
}
