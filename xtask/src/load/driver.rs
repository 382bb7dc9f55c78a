//! The load as a program of its own: a plan in, a line of JSON for each event out.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use stanchion_testing::process::Kept;

use super::contestants::{self, Contestant, Running};

/// What all plans of a session share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) seed: u64,
    pub(super) clients: usize,
    pub(super) families: usize,
    pub(super) connections: usize,
    pub(super) poisson: bool,
}

/// One thing to be done with a started service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) rate: f64,
    pub(super) seconds: f64,
    pub(super) warm_up_seconds: f64,
    pub(super) p99_ms: f64,
    /// To look for the highest rate held instead, from `rate` on.
    pub(super) search: bool,
}

/// What the load says.
#[derive(Debug)]
pub(super) enum Event {
    /// The service does what it should.
    Conforms,
    /// From now on is measured.
    Begun,
    /// A run at a fixed rate, or a step of a search, and whether it was held.
    Report { held: bool, report: Value },
    /// A search is over.
    Found,
}

/// How much of what it says when it fails is shown.
const WORDS_BYTES_MAX: u64 = 4_096;
/// Never a higher rate than this is tried.
const RATE_MAX: f64 = 40_000.0;
const RATE_MIN: f64 = 20.0;
const PRECISION: f64 = 0.06;
/// After this a request is an error.
const TIMEOUT_SECONDS: f64 = 5.0;
/// Per cent of checking, issuing, refreshing.
pub(super) const MIX: [u32; 3] = [80, 15, 5];

/// Runs the job to its end, and shows each event to `seen`.
pub(super) fn run(
    contestant: Contestant,
    running: &Running,
    setting: Setting,
    job: Job,
    seen: impl FnMut(Event) -> Result<()>,
) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let plan: PathBuf = folder.path().join("plan.json");
    std::fs::write(
        &plan,
        plan_of(contestant, running, setting, job).to_string(),
    )?;
    let mut command = Command::new(contestants::program("auth-load")?);
    command
        .arg("run")
        .arg(&plan)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let (mut child, _kept) = Kept::spawn(&mut command).context("auth-load did not start")?;
    let output = child.stdout.take().context("stdout is piped")?;
    if let Err(error) = hear(output, seen) {
        // Its group is ended once this returns; it is waited for as well.
        child.kill()?;
        child.wait()?;
        return Err(error);
    }
    let mut words = String::new();
    if let Some(errors) = child.stderr.take() {
        errors.take(WORDS_BYTES_MAX).read_to_string(&mut words)?;
    }
    if !child.wait()?.success() {
        bail!("{}\n{}", words.trim(), running.last_words());
    }
    Ok(())
}

/// Shows each event to `seen`, until all is said.
fn hear(output: impl Read, mut seen: impl FnMut(Event) -> Result<()>) -> Result<()> {
    for line in BufReader::new(output).lines() {
        let line = line?;
        seen(event(&line).with_context(|| format!("auth-load said `{line}`"))?)?;
    }
    Ok(())
}

fn plan_of(contestant: Contestant, running: &Running, setting: Setting, job: Job) -> Value {
    let range = json!({"from": RATE_MIN, "to": RATE_MAX, "precision": PRECISION});
    json!({
        "url": running.url,
        "admin_url": running.admin_url,
        "dialect": contestant.dialect(),
        "rate": job.rate,
        "seconds": job.seconds,
        "warm_up_seconds": job.warm_up_seconds,
        "arrivals": if setting.poisson { "poisson" } else { "constant" },
        "connections": setting.connections,
        "timeout_seconds": TIMEOUT_SECONDS,
        "seed": setting.seed,
        "clients": setting.clients,
        "families": setting.families,
        "mix": MIX,
        "p99_ms": job.p99_ms,
        "search": if job.search { range } else { Value::Null },
    })
}

fn event(line: &str) -> Option<Event> {
    let mut line: Value = serde_json::from_str(line).ok()?;
    let mut content = line["content"].take();
    Some(match line["event"].as_str()? {
        "conforms" => Event::Conforms,
        "begun" => Event::Begun,
        "report" | "step" => Event::Report {
            held: content["held"].as_bool()?,
            report: content["report"].take(),
        },
        "found" => Event::Found,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_event_or_a_mistake() {
        let step = r#"{"event":"step","content":{"held":true,"report":{"errors":0}}}"#;
        let Some(Event::Report { held: true, report }) = event(step) else {
            panic!("{step}");
        };
        assert_eq!(report["errors"], 0);
        assert!(matches!(
            event(r#"{"event":"found","content":{"held":null}}"#),
            Some(Event::Found)
        ));
        assert!(event("ready").is_none());
    }
}
