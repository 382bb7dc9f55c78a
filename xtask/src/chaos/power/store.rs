//! A store on a disk whose power goes.

use std::{fs, path::Path};

use anyhow::Result;
use stanchion_testing::servers::Cluster;

/// The disk is small.
const SETTINGS: [&str; 3] = [
    "min_wal_size=32MB",
    "max_wal_size=64MB",
    "max_connections=60",
];

const DATABASE: &str = "postgres";

pub(super) enum Store {
    /// A folder; whoever writes is its server.
    Sqlite(String),
    Postgres(Box<Cluster>),
}

impl Store {
    pub(super) fn create(kind: &str, disk: &Path) -> Result<Self> {
        if kind == "sqlite" {
            let folder = disk.join("data");
            return Ok(Self::Sqlite(format!("sqlite://{}", folder.display())));
        }
        let folder = disk.join("server");
        fs::create_dir(&folder)?;
        let cluster = Cluster::create(&folder, &SETTINGS)?;
        Ok(Self::Postgres(Box::new(cluster)))
    }

    pub(super) fn url(&self) -> String {
        match self {
            Self::Sqlite(url) => url.clone(),
            Self::Postgres(cluster) => cluster.url(DATABASE),
        }
    }

    pub(super) fn start(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(cluster) => cluster.start(),
        }
    }

    /// Nothing is written from here on. The postmaster first: it would start new processes.
    pub(super) fn freeze(&mut self) -> Result<()> {
        self.all("STOP")
    }

    pub(super) fn kill(&mut self) -> Result<()> {
        self.all("KILL")?;
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(cluster) => cluster.crash(),
        }
    }

    pub(super) fn stop(&mut self) -> Result<()> {
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
