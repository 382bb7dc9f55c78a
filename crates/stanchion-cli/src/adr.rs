//! Architecture decision records: a folder of numbered Markdown files, in Nygard's form or in the short one.
//!
//! Two forms are read. The full one has headings (`## Context`, `## Decision`, `## Consequences` with `### Positive` and
//! `### Negative`, `## Alternatives considered`); the short one has leading words in bold (`**Open.**`, `**Chosen.**`,
//! `**Costs.**`). Both may begin with `Status:`, `Date:`, `Supersedes:` and `Code:` lines; a record without a status is
//! accepted, as records were before they had one.

mod check;
mod graph;
mod read;
mod write;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub(crate) use check::{Finding, check};
pub(crate) use graph::{Form as GraphForm, draw};
pub(crate) use write::{Draft, Form, create, supersede};

use crate::root::Root;

/// Where records are looked for when nothing is said, in this order.
const FOLDERS: [&str; 4] = ["docs/adr", "docs/decisions", "adr", "doc/adr"];

/// What became of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Open for objections.
    Proposed,
    /// In force.
    Accepted,
    /// Considered and not taken.
    Rejected,
    /// Not in force any more, and nothing took its place.
    Deprecated,
    /// Another one took its place.
    Superseded,
    /// A word that is none of these.
    Unknown(String),
}

/// One record.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    /// Its number, counted from 1.
    pub(crate) number: u32,
    /// Its title without the number.
    pub(crate) title: String,
    /// What became of it.
    pub(crate) status: Status,
    /// When it was decided, `2026-11-22`, as written.
    pub(crate) date: Option<String>,
    /// Those whose place it takes.
    pub(crate) supersedes: Vec<u32>,
    /// Those that took its place.
    pub(crate) superseded_by: Vec<u32>,
    /// Other records it mentions.
    pub(crate) mentions: Vec<u32>,
    /// Its file, from the root.
    pub(crate) file: PathBuf,
    /// The part names that it has, in the full form's words.
    pub(crate) parts: Vec<String>,
    #[serde(skip)]
    pub(crate) text: String,
}

impl Record {
    /// `0007`.
    pub(crate) fn padded(&self) -> String {
        format!("{:04}", self.number)
    }

    /// `0007-title.md`.
    pub(crate) fn name(&self) -> String {
        let name = self.file.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// The folder of the records below a root: the one that is named, or the first of the usual ones that is there.
pub(crate) fn folder(root: &Root, named: Option<&Path>) -> PathBuf {
    let usual = || FOLDERS.iter().map(PathBuf::from);
    let found = || usual().find(|folder| root.exists(folder));
    let first = || PathBuf::from(FOLDERS[0]);
    named
        .map(Path::to_path_buf)
        .or_else(found)
        .unwrap_or_else(first)
}

/// All records of a folder in the order of their numbers; files without a number are none.
pub(crate) fn load(root: &Root, folder: &Path) -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    for name in root.names(folder)? {
        let Some(number) = read::number_of(&name) else {
            continue;
        };
        let file = folder.join(&name);
        let text = root.read(&file)?;
        records.push(read::record(number, file, text));
    }
    records.sort_by(|a, b| (a.number, &a.file).cmp(&(b.number, &b.file)));
    Ok(records)
}
