//! The log's programs: writers and followers, and the judge.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use stanchion_testing::process::Launch;

use crate::{shell, workspace};

/// Their binaries.
pub(crate) struct LogPrograms {
    folder: PathBuf,
}

impl LogPrograms {
    /// Those in `folder`, or built now.
    pub(crate) fn of(folder: Option<&Path>, release: bool) -> Result<Self> {
        if let Some(folder) = folder {
            let folder = folder.canonicalize()?;
            return Ok(Self { folder });
        }
        Self::built(release)
    }

    /// Builds them.
    pub(crate) fn built(release: bool) -> Result<Self> {
        let folder = workspace::programs(&["log-load", "log-auditor"], release)?;
        Ok(Self { folder })
    }

    /// Writers, followers, and whoever takes connections away.
    pub(crate) fn load(&self) -> Launch {
        Launch::new(self.folder.join("log-load"))
    }

    /// Makes the tables.
    pub(crate) fn prepare(&self, database: &str) -> Result<()> {
        let mut prepare = Command::new(self.folder.join("log-load"));
        shell::quiet(prepare.arg("prepare").arg(database)).map(drop)
    }

    /// Prints the balance sheet; false if something does not add up.
    pub(crate) fn audit(
        &self,
        database: &str,
        journals: &Path,
        followers: &[&str],
    ) -> Result<bool> {
        shell::aloud(&mut self.auditor(database, journals, followers))
    }

    /// The balance sheet, unprinted.
    pub(crate) fn sheet(
        &self,
        database: &str,
        journals: &Path,
        followers: &[&str],
    ) -> Result<String> {
        let output = self.auditor(database, journals, followers).output();
        let output = output.context("the auditor did not start")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(said.is_empty(), "the auditor: {said}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn auditor(&self, database: &str, journals: &Path, followers: &[&str]) -> Command {
        let mut auditor = Command::new(self.folder.join("log-auditor"));
        auditor.arg(database).arg("--journals").arg(journals);
        if !followers.is_empty() {
            auditor.arg(format!("--followers={}", followers.join(",")));
        }
        auditor
    }
}
