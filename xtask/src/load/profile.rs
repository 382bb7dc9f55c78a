//! Where a service's processor time goes, by `perf` where there is one.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::shell;

/// Samples a second: no multiple of anything periodic.
const SAMPLES_A_SECOND: &str = "499";
/// Lines of the result.
const LINES_MAX: usize = 30;

/// A recording under way.
pub(super) struct Recording {
    perf: Child,
    folder: TempDir,
}

/// Records that process for so many seconds; `None` where there is no `perf`.
pub(super) fn start(process: u32, seconds: f64) -> Option<Recording> {
    let folder = tempfile::tempdir().ok()?;
    // A virtual machine seldom has hardware counters; the clock is always there.
    let perf = Command::new("perf")
        .args([
            "record",
            "--quiet",
            "-e",
            "cpu-clock",
            "-F",
            SAMPLES_A_SECOND,
        ])
        .arg("-o")
        .arg(folder.path().join("data"))
        .args([
            "-p",
            &process.to_string(),
            "--",
            "sleep",
            &seconds.to_string(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    Some(Recording { perf, folder })
}

impl Recording {
    /// Waits for its end: share of the samples, program or library, function; the largest first.
    pub(super) fn lines(mut self) -> Result<Vec<String>> {
        self.perf.wait().context("perf")?;
        let mut report = Command::new("perf");
        report.args(["report", "--stdio", "--quiet", "--sort", "dso,symbol", "-i"]);
        let text = shell::quiet(report.arg(self.folder.path().join("data")))?;
        let lines = text.lines().filter(|line| line.contains('%'));
        Ok(lines
            .take(LINES_MAX)
            .map(|line| line.trim_end_matches([' ', '-']).trim_start().to_owned())
            .collect())
    }
}
