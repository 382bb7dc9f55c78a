//! Relative links of the Markdown files: the file is there, and so is the heading.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::workspace;

/// Folders that are not ours to read; and templates, whose links hold in what is made of them.
const PASSED_OVER: [&str; 4] = ["target", ".git", ".venv", "templates"];

pub(super) fn check() -> Result<String> {
    let root = workspace::root();
    let mut wrong = Vec::new();
    let mut links = 0;
    for file in markdown_files(&root)? {
        for target in targets(&read(&file)?) {
            links += 1;
            let fault = fault(&file, &target)?;
            let shown = file.strip_prefix(&root).unwrap_or(&file).display();
            wrong.extend(fault.map(|fault| format!("{shown}: ({target}) {fault}")));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(format!("{links} links"))
}

fn markdown_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && !PASSED_OVER.contains(&name.as_str()) {
            files.extend(markdown_files(&path)?);
        } else if name.ends_with(".md") {
            files.push(path);
        }
    }
    Ok(files)
}

fn fault(file: &Path, target: &str) -> Result<Option<String>> {
    let (path, heading) = target
        .split_once('#')
        .map_or((target, None), |(path, heading)| (path, Some(heading)));
    let folder = file.parent().context("a file is in a folder")?;
    let to = if path.is_empty() {
        file.to_owned()
    } else {
        folder.join(path)
    };
    if !to.exists() {
        return Ok(Some("is not there".to_owned()));
    }
    let Some(heading) =
        heading.filter(|_| to.extension().is_some_and(|extension| extension == "md"))
    else {
        return Ok(None);
    };
    let there = headings(&read(&to)?).contains(&heading.to_owned());
    Ok((!there).then(|| "has no such heading".to_owned()))
}

/// Targets of `[text](target)` that are neither URLs nor in code.
pub(super) fn targets(markdown: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for line in prose(markdown) {
        let line = without_code(line);
        for piece in line.split("](").skip(1) {
            let target = piece.split([')', ' ']).next().unwrap_or_default();
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !target.is_empty() && !elsewhere {
                targets.push(target.to_owned());
            }
        }
    }
    targets
}

/// The anchors that GitHub gives the headings: lower case, no punctuation, a number for the second of a name.
fn headings(markdown: &str) -> Vec<String> {
    let mut seen = BTreeMap::<String, u32>::new();
    let titles = prose(markdown)
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim());
    let mut anchors = Vec::new();
    for title in titles {
        let kept = title
            .chars()
            .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        let anchor = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let count = seen.entry(anchor.clone()).or_default();
        anchors.push(if *count == 0 {
            anchor.clone()
        } else {
            format!("{anchor}-{count}")
        });
        *count += 1;
    }
    anchors
}

/// The lines outside fenced code.
fn prose(markdown: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    markdown.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("code")
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::{headings, targets};

    #[test]
    fn links_in_code_and_to_elsewhere_are_passed_over() {
        let markdown = "[a](b.md#c) `[no](no)` [x](https://x) [`D`](../d.rs)\n```\n[no](no)\n```\n";
        assert_eq!(targets(markdown), ["b.md#c", "../d.rs"]);
    }

    #[test]
    fn anchors_are_those_of_github() {
        let markdown = "# What `it` is, and why\n## Same\n## Same\n```\n# no\n```\n";
        assert_eq!(headings(markdown), ["what-it-is-and-why", "same", "same-1"]);
    }
}
