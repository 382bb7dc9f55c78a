use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;
use similar::TextDiff;

use super::{Names, Source, made, service};
use crate::root::Root;

/// What newer templates would change in one file.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Difference {
    /// Which file.
    pub(crate) file: PathBuf,
    /// A unified diff from what is there to what the templates say.
    pub(crate) diff: String,
    /// Whether the file is not there.
    pub(crate) missing: bool,
}

/// The differences between a service and what these templates would make of its names today.
///
/// What the service changed itself shows as well: nobody kept the old templates to tell the two apart. Sources that are
/// meant to be changed (below `src`, `tests`, `proto` and `migrations`) are compared only if `all` is said.
pub(crate) fn upgrade(root: &Root, all: bool) -> anyhow::Result<Vec<Difference>> {
    let made = made(root)?;
    let names = Names::new(&made.service, Some(&made.context), Some(&made.thing))?;
    let source = Source::Registry(env!("CARGO_PKG_VERSION").into());
    let mut differences = Vec::new();
    for (file, text) in service(&names, made.style, &source, &made.date) {
        let theirs = ["src", "tests", "proto", "migrations", "docs"]
            .iter()
            .any(|folder| file.starts_with(folder));
        if theirs && !all {
            continue;
        }
        let now = if root.exists(&file) {
            Some(root.read(&file)?)
        } else {
            None
        };
        let missing = now.is_none();
        let now = without_dependency(&now.unwrap_or_default());
        let text = without_dependency(&formatted(&file, text));
        if now == text {
            continue;
        }
        let shown = file.display().to_string();
        let diff = TextDiff::from_lines(&now, &text)
            .unified_diff()
            .header(&shown, &shown)
            .to_string();
        differences.push(Difference {
            file,
            diff,
            missing,
        });
    }
    Ok(differences)
}

/// Rust as `new` leaves it, formatted for its names; as it is without a toolchain.
fn formatted(file: &Path, text: String) -> String {
    if file.extension().is_none_or(|extension| extension != "rs") {
        return text;
    }
    rustfmt(&text).unwrap_or(text)
}

fn rustfmt(text: &str) -> Option<String> {
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--edition", "2024"]).stdin(Stdio::piped());
    rustfmt.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = rustfmt.spawn().ok()?;
    // It reads everything before it writes, so the pipe cannot fill up in both directions.
    child.stdin.take()?.write_all(text.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    let formatted = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(formatted)
}

/// Where stanchion comes from is the service's own affair.
fn without_dependency(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("stanchion = "));
    lines.map(|line| format!("{line}\n")).collect()
}
