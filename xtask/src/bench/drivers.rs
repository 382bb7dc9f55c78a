//! Running one driver once: `DRIVER URL CASE WRITERS SECONDS EVENTS`, one JSON line out.

use std::{
    os::unix::process::CommandExt,
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use stanchion_testing::process::Kept;

use super::{
    figures::Measurement,
    kits::{self, Kit},
};

/// The longest time for one run, its preparation included.
const RUN_MAX: Duration = Duration::from_secs(300);
/// What is shown of a failed driver's last words.
const REASON_MAX: usize = 200;

/// A program that drives one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driver {
    Ours,
    PostgresEs,
    Disintegrate,
    MessageDb,
    Eventsourcing,
    Emmett,
    SqlitePool,
    Pgbench,
}

/// What a driver is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job<'a> {
    pub(super) case: &'a str,
    pub(super) writers: usize,
    pub(super) seconds: f64,
    pub(super) events: usize,
}

impl Driver {
    /// What has to be there before it runs.
    pub(super) fn kit(self) -> Kit {
        match self {
            Self::Ours => Kit::Ours,
            Self::PostgresEs | Self::Disintegrate | Self::SqlitePool => Kit::Rust,
            Self::MessageDb => Kit::MessageDb,
            Self::Eventsourcing => Kit::Python,
            Self::Emmett => Kit::Node,
            Self::Pgbench => Kit::Database,
        }
    }

    /// The program without the arguments that all drivers have.
    pub(super) fn command(self) -> Command {
        match self {
            Self::Ours => Command::new(kits::built("ours", "ours")),
            Self::PostgresEs => Command::new(kits::built("peers", "postgres_es")),
            Self::Disintegrate => Command::new(kits::built("peers", "disintegrate")),
            Self::SqlitePool => Command::new(kits::built("peers", "sqlite_pool")),
            Self::MessageDb => {
                let sql = "node/node_modules/@eventide/message-db/database";
                let mut command = Command::new(kits::sources().join("peers/message-db.sh"));
                command.arg(kits::folder().join(sql));
                command.arg(kits::built("peers", "message_db"));
                command
            }
            Self::Eventsourcing => {
                let mut command = Command::new(kits::folder().join("python/bin/python"));
                command.arg(kits::sources().join("python/driver.py"));
                command
            }
            Self::Emmett => {
                let mut command = Command::new("node");
                command.arg(kits::folder().join("node/driver.js"));
                command
            }
            Self::Pgbench => Command::new(kits::sources().join("pgbench.sh")),
        }
    }
}

/// Runs it against `url` and reads its line.
///
/// # Errors
/// It does not start, fails, takes too long, or prints something else: a short reason for the table.
pub(super) fn run(command: &mut Command, url: &str, job: Job<'_>) -> Result<Measurement> {
    command
        .args([url, job.case])
        .args([job.writers.to_string(), job.seconds.to_string()])
        .arg(job.events.to_string())
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = bounded(command)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", reason(&errors));
    let out = String::from_utf8_lossy(&output.stdout);
    let line = out.lines().last().unwrap_or_default();
    measurement(line).with_context(|| format!("it printed `{line}`"))
}

/// Runs to the end, or to the bound; whatever comes of it, nothing of its process group is left.
fn bounded(command: &mut Command) -> Result<Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut command =
            tokio::process::Command::from(std::mem::replace(command, Command::new("true")));
        let child = command.kill_on_drop(true).spawn()?;
        // A driver starts clients of its own, and may run for minutes after us.
        let _kept = child.id().map(Kept::group).transpose()?;
        match tokio::time::timeout(RUN_MAX, child.wait_with_output()).await {
            Ok(output) => Ok(output?),
            Err(_) => bail!("not done after {} s", RUN_MAX.as_secs()),
        }
    })
}

/// The last line that says something.
pub(super) fn reason(errors: &str) -> String {
    let last = errors.lines().rev().find(|line| !line.trim().is_empty());
    let last = last.unwrap_or("it failed without a word").trim();
    last.chars().take(REASON_MAX).collect()
}

/// Of `{"events":…,"seconds":…,"p50_us":…,"p99_us":…}`.
pub(super) fn measurement(line: &str) -> Option<Measurement> {
    let line: Value = serde_json::from_str(line).ok()?;
    let (events, seconds) = (line["events"].as_f64()?, line["seconds"].as_f64()?);
    Some(Measurement {
        rate: events / seconds,
        p50_us: line["p50_us"].as_f64(),
        p99_us: line["p99_us"].as_f64(),
        ..Measurement::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_latencies_is_a_rate() {
        let measured = measurement(r#"{"events":3000,"seconds":1.5,"again":0}"#).unwrap();
        assert_eq!((measured.rate, measured.p50_us), (2_000.0, None));
        let measured =
            measurement(r#"{"events":9,"seconds":3,"p50_us":266,"p99_us":900}"#).unwrap();
        assert_eq!(measured.p99_us, Some(900.0));
        assert_eq!(measurement("ready"), None);
    }

    #[test]
    fn a_failed_driver_is_quoted_by_its_last_words() {
        let mut fails = Command::new("sh");
        fails.args([
            "-c",
            "echo first >&2; echo 'no such table' >&2; echo >&2; exit 3",
        ]);
        let job = Job {
            case: "append",
            writers: 1,
            seconds: 1.0,
            events: 0,
        };
        let error = run(&mut fails, "url", job).unwrap_err();
        assert_eq!(error.to_string(), "no such table");
    }

    #[test]
    fn a_driver_gets_the_five_arguments() {
        let mut echo = Command::new("sh");
        echo.args([
            "-c",
            r#"[ "$*" = "url append10 16 2.5 7" ] && echo '{"events":1,"seconds":1}'"#,
            "sh",
        ]);
        let job = Job {
            case: "append10",
            writers: 16,
            seconds: 2.5,
            events: 7,
        };
        assert_eq!(run(&mut echo, "url", job).unwrap().rate, 1.0);
    }
}
