use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Serialize;

use super::format::{formatted, is_formatted};
use crate::root::Root;

/// What is to be made: new files, and lines in files that are there. Nothing happens before [`Plan::carry_out`].
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Plan {
    /// Files to make, with their texts.
    pub(crate) files: Vec<(PathBuf, String)>,
    /// Lines to add, in order.
    pub(crate) lines: Vec<Line>,
}

/// Lines for one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    /// In which file.
    pub(crate) file: PathBuf,
    /// Before the closing of which mark.
    pub(crate) mark: String,
    /// What.
    pub(crate) text: String,
}

impl Plan {
    pub(crate) fn file(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) {
        self.files.push((path.into(), text.into()));
    }

    pub(crate) fn line(&mut self, file: impl Into<PathBuf>, mark: &str, text: impl Into<String>) {
        self.lines.push(Line {
            file: file.into(),
            mark: mark.to_owned(),
            text: text.into(),
        });
    }

    /// Makes everything, or nothing: what cannot be made is found before anything is.
    ///
    /// New Rust is formatted; a file that gets lines is, if it was before. No other file is touched.
    pub(crate) fn carry_out(&self, root: &Root) -> anyhow::Result<()> {
        let changed = self.check(root)?;
        let folder = root.folder();
        for (path, text) in &self.files {
            root.create(path, &formatted(folder, path, text.clone()))?;
        }
        for (path, text) in changed {
            let was_formatted = is_formatted(folder, &path, &root.read(&path)?);
            let text = match was_formatted {
                true => formatted(folder, &path, text),
                false => text,
            };
            root.replace(&path, &text)?;
        }
        Ok(())
    }

    /// The files whose lines are added, as they will be.
    ///
    /// # Errors
    /// A file is there already, or a mark is not.
    pub(crate) fn check(&self, root: &Root) -> anyhow::Result<BTreeMap<PathBuf, String>> {
        for (path, _) in &self.files {
            ensure!(
                !root.resolve(path)?.exists(),
                "{} is there already, and nothing is overwritten",
                path.display()
            );
        }
        let mut changed: BTreeMap<PathBuf, String> = BTreeMap::new();
        for line in &self.lines {
            let text = match changed.remove(&line.file) {
                Some(text) => text,
                None => root.read(&line.file)?,
            };
            changed.insert(line.file.clone(), with(&text, line)?);
        }
        Ok(changed)
    }

    /// Every file and every line, as a person reads them.
    pub(crate) fn told(&self) -> String {
        let mut told = String::new();
        for (path, text) in &self.files {
            let _ = writeln!(
                told,
                "new   {} ({} lines)",
                path.display(),
                text.lines().count()
            );
        }
        let mut before: Option<&Path> = None;
        for line in &self.lines {
            if before != Some(&line.file) {
                let _ = writeln!(told, "edit  {}", line.file.display());
            }
            before = Some(&line.file);
            for text in line.text.lines() {
                let _ = writeln!(told, "    + {text}");
            }
        }
        told
    }
}

fn with(text: &str, line: &Line) -> anyhow::Result<String> {
    let closing = [
        format!("// </{}>", line.mark),
        format!("# </{}>", line.mark),
    ];
    let is_closing = |text: &str| closing.iter().any(|closing| text.trim() == closing);
    // rustfmt puts a mark behind the brace of an arm before it.
    let closed = &closing[0];
    let text = text.replace(&format!("}} {closed}"), &format!("}}\n{closed}"));
    let text = text.replace(&format!("}}, {closed}"), &format!("}},\n{closed}"));
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| is_closing(line));
    let at = at.with_context(|| {
        format!(
            "{} has no line `// </{}>`, before which this belongs:\n{}",
            line.file.display(),
            line.mark,
            line.text
        )
    })?;
    let margin: String = lines[at]
        .chars()
        .take_while(|c| c.is_whitespace())
        .collect();
    let added = line.text.lines().map(|line| {
        if line.is_empty() {
            String::new()
        } else {
            format!("{margin}{line}")
        }
    });
    let all = lines[..at]
        .iter()
        .map(|line| (*line).to_owned())
        .chain(added);
    let all = all.chain(lines[at..].iter().map(|line| (*line).to_owned()));
    Ok(all.collect::<Vec<_>>().join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> (tempfile::TempDir, Root) {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("lib.rs"), text).unwrap();
        let root = Root::open(place.path()).unwrap();
        (place, root)
    }

    #[test]
    fn lines_are_added_before_the_closing_mark_with_its_margin() {
        let (_place, root) = place("a\n    // <x>\n    // </x>\nb\n");
        let mut plan = Plan::default();
        plan.line("lib.rs", "x", "one\ntwo");
        plan.line("lib.rs", "x", "three");
        plan.carry_out(&root).unwrap();
        let text = root.read(Path::new("lib.rs")).unwrap();
        assert_eq!(
            text,
            "a\n    // <x>\n    one\n    two\n    three\n    // </x>\nb\n"
        );
    }

    #[test]
    fn without_the_mark_or_with_the_file_there_nothing_at_all_is_made() {
        let (place, root) = place("a\n");
        let mut plan = Plan::default();
        plan.file("new.rs", "x");
        plan.line("lib.rs", "x", "one");
        let error = plan.carry_out(&root).unwrap_err().to_string();
        assert!(
            error.contains("has no line `// </x>`") && error.ends_with("one"),
            "{error}"
        );
        assert!(!place.path().join("new.rs").exists());
        let mut plan = Plan::default();
        plan.file("other.rs", "x");
        plan.file("lib.rs", "x");
        assert!(plan.carry_out(&root).is_err());
        assert!(!place.path().join("other.rs").exists());
    }
}
