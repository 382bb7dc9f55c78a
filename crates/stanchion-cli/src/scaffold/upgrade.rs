use std::path::PathBuf;

use serde::Serialize;
use similar::TextDiff;

use super::format::formatted;
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
        let text = without_dependency(&formatted(root.folder(), &file, text));
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

/// Where stanchion comes from is the service's own affair.
fn without_dependency(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("stanchion = "));
    lines.map(|line| format!("{line}\n")).collect()
}
