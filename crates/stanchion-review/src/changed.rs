//! Which lines a change touches, as git says.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;

/// Changed lines by path from the root; a new file is changed as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    lines: BTreeMap<String, Vec<RangeInclusive<u32>>>,
}

impl Changed {
    /// Whether this line is part of the change.
    pub fn touches(&self, path: &str, line: u32) -> bool {
        self.lines
            .get(path)
            .is_some_and(|ranges| ranges.iter().any(|range| range.contains(&line)))
    }

    /// Reads a unified diff without context.
    pub fn parse(diff: &str) -> Self {
        let mut changed = Self::default();
        let mut path = None;
        for line in diff.lines() {
            if let Some(name) = line.strip_prefix("+++ ") {
                path = name
                    .strip_prefix("b/")
                    .map(|name| name.trim_end_matches('\t').to_owned());
            } else if let (Some(path), Some(hunk)) = (&path, line.strip_prefix("@@ ")) {
                changed
                    .lines
                    .entry(path.clone())
                    .or_default()
                    .extend(added(hunk));
            }
        }
        changed
    }
}

/// `-1,2 +3,4 @@` as 3..=6.
fn added(hunk: &str) -> Option<RangeInclusive<u32>> {
    let plus = hunk.split(' ').find_map(|part| part.strip_prefix('+'))?;
    let (start, count) = plus.split_once(',').unwrap_or((plus, "1"));
    let (start, count): (u32, u32) = (start.parse().ok()?, count.parse().ok()?);
    (count > 0).then(|| start..=start.saturating_add(count - 1))
}

/// Lines that differ from a revision, and files that git does not know yet.
///
/// Git is run without the repository's own hooks, monitors, pagers and diff drivers: those are programs, and a
/// repository under review must not start any.
///
/// # Errors
/// What git says: an unknown revision, no repository, no git.
pub fn changed_lines(root: &Path, revision: &str) -> Result<Changed, String> {
    if revision.starts_with('-') {
        return Err(format!("`{revision}` is not a revision"));
    }
    let diff = git(
        root,
        &[
            "diff",
            "--unified=0",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            "--no-renames",
            "--relative",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            revision,
            "--",
        ],
    )?;
    let mut changed = Changed::parse(&diff);
    let new = git(root, &["ls-files", "--others", "--exclude-standard", "-z"])?;
    for path in new.split('\0').filter(|path| !path.is_empty()) {
        changed.lines.insert(path.to_owned(), vec![0..=u32::MAX]);
    }
    Ok(changed)
}

/// Why git did not, in its own words but without its usage.
fn said(text: &str) -> String {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    format!("git says: {}", first.unwrap_or("nothing"))
}

fn git(root: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git")
        .args([
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.quotePath=false",
            "--no-pager",
        ])
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|error| format!("git cannot be run: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(said(&String::from_utf8_lossy(&output.stderr)))
    }
}
