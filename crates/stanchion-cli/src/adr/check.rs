use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::{Record, Status, read};
use crate::root::Root;

/// Names that end so are paths into the code, when they have a folder.
const CODE: [&str; 12] = [
    ".rs", ".go", ".toml", ".sql", ".proto", ".yaml", ".yml", ".sh", ".py", ".ts", ".md", ".json",
];

/// Something wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The record's file, from the root.
    pub(crate) file: PathBuf,
    /// The line, counted from 1.
    pub(crate) line: usize,
    /// What is wrong, and how it is mended.
    pub(crate) what: String,
}

/// Everything that is wrong with these records.
pub(crate) fn check(root: &Root, folder: &Path, records: &[Record]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for record in records {
        let mut say = |line, what| {
            findings.push(Finding {
                file: record.file.clone(),
                line,
                what,
            })
        };
        form(record, &mut say);
        links(root, record, &mut say);
        code(root, record, &mut say);
        supersession(record, records, &mut say);
    }
    numbers(records, &mut findings);
    index(root, folder, records, &mut findings);
    findings.sort_by(|a, b| (&a.file, a.line, &a.what).cmp(&(&b.file, b.line, &b.what)));
    findings
}

fn form(record: &Record, say: &mut impl FnMut(usize, String)) {
    if record.title.is_empty() {
        say(
            1,
            format!("has no title: begin with `# {} …`", record.padded()),
        );
    }
    if let Status::Unknown(text) = &record.status {
        let known = "proposed, accepted, rejected, deprecated or superseded by [number](file)";
        say(1, format!("the status `{text}` is not one of {known}"));
    }
    for part in ["Context", "Decision", "Consequences"] {
        if !record.parts.iter().any(|has| has == part) {
            say(1, format!("has no part `{part}`"));
        }
    }
    if let Some(date) = &record.date
        && date.parse::<jiff::civil::Date>().is_err()
    {
        say(
            1,
            format!("the date `{date}` is no day: write it as 2026-11-22"),
        );
    }
}

fn links(root: &Root, record: &Record, say: &mut impl FnMut(usize, String)) {
    for link in read::links(&record.text) {
        let there = beside(&record.file, &link.target);
        if !there.is_some_and(|path| root.exists(&path)) {
            say(
                link.line,
                format!("broken link: there is no {}", link.target),
            );
        }
    }
}

/// Paths in backticks, and those that `Code:` lines name, with a word that must be in the file after a `#`.
fn code(root: &Root, record: &Record, say: &mut impl FnMut(usize, String)) {
    for (line, path) in read::code(&record.text) {
        let is_path = path.contains('/') && !path.contains([' ', '*', '{', '<', '…', ':', '$']);
        let is_path = is_path
            && !path.starts_with(['/', '~', '-', '@'])
            && CODE.iter().any(|end| path.ends_with(end));
        let beside = beside(&record.file, &path);
        if is_path
            && !root.exists(Path::new(&path))
            && !beside.is_some_and(|path| root.exists(&path))
        {
            say(line, format!("the code it refers to is gone: {path}"));
        }
    }
    let named = read::headers(&record.text)
        .into_iter()
        .filter(|(key, _)| key == "code");
    for reference in named.flat_map(|(_, value)| value.split(',').collect::<Vec<_>>()) {
        let reference = reference.trim().trim_matches('`');
        let line = record
            .text
            .lines()
            .position(|line| line.contains(reference));
        let line = line.map_or(1, |index| index + 1);
        let (path, word) = reference.split_once('#').unwrap_or((reference, ""));
        if !root.exists(Path::new(path)) {
            say(line, format!("the code it refers to is gone: {path}"));
        } else if !word.is_empty()
            && !root
                .read(Path::new(path))
                .is_ok_and(|text| text.contains(word))
        {
            say(
                line,
                format!("the code it refers to is gone: {path} has no `{word}`"),
            );
        }
    }
}

fn supersession(record: &Record, records: &[Record], say: &mut impl FnMut(usize, String)) {
    let other = |number: u32| records.iter().find(|other| other.number == number);
    for old in &record.supersedes {
        match other(*old) {
            None => say(1, format!("supersedes {old:04}, which is not there")),
            Some(_) if *old == record.number => say(1, "supersedes itself".into()),
            Some(older) if !older.superseded_by.contains(&record.number) => say(
                1,
                format!(
                    "supersedes {old:04}, which does not say so: its status must be `superseded by [{}]({})`",
                    record.padded(),
                    record.name()
                ),
            ),
            Some(_) => {}
        }
    }
    for new in &record.superseded_by {
        if !other(*new).is_some_and(|newer| newer.supersedes.contains(&record.number)) {
            say(
                1,
                format!("is superseded by {new:04}, which does not say `Supersedes:` of it"),
            );
        }
    }
    if record.status == Status::Superseded && record.superseded_by.is_empty() {
        say(1, "is superseded, but not said by which record".into());
    }
    let claims = records
        .iter()
        .filter(|newer| newer.supersedes.contains(&record.number) && in_force(newer));
    let claims: Vec<_> = claims.map(Record::padded).collect();
    if claims.len() > 1 {
        say(
            1,
            format!(
                "is superseded {} times: by {}; only one can take its place",
                claims.len(),
                claims.join(" and ")
            ),
        );
    }
}

fn in_force(record: &Record) -> bool {
    matches!(record.status, Status::Accepted | Status::Proposed)
}

fn numbers(records: &[Record], findings: &mut Vec<Finding>) {
    let mut seen: BTreeMap<u32, &Record> = BTreeMap::new();
    for record in records {
        if let Some(first) = seen.get(&record.number) {
            let what = format!("has the number of {}", first.name());
            findings.push(Finding {
                file: record.file.clone(),
                line: 1,
                what,
            });
        }
        seen.entry(record.number).or_insert(record);
    }
}

/// An index, where there is one, names every record.
fn index(root: &Root, folder: &Path, records: &[Record], findings: &mut Vec<Finding>) {
    let file = folder.join("README.md");
    let Ok(text) = root.read(&file) else {
        return;
    };
    for record in records
        .iter()
        .filter(|record| !text.contains(&record.name()))
    {
        let what = format!("does not name {}", record.name());
        findings.push(Finding {
            file: file.clone(),
            line: 1,
            what,
        });
    }
    for link in read::links(&text) {
        if !beside(&file, &link.target).is_some_and(|path| root.exists(&path)) {
            let what = format!("broken link: there is no {}", link.target);
            findings.push(Finding {
                file: file.clone(),
                line: link.line,
                what,
            });
        }
    }
}

/// A link's target as a path from the root; `None` where it leads out of it.
fn beside(file: &Path, target: &str) -> Option<PathBuf> {
    let mut path = file.parent().unwrap_or(Path::new("")).to_path_buf();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => path.pop().then_some(())?,
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}
