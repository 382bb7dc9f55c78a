//! What writers noted down: the intent before each append, the outcome after it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;
use uuid::Uuid;

/// All journals of a run.
#[derive(Debug, Default)]
pub struct Journals {
    pub(crate) appends: HashMap<Uuid, Noted>,
    /// Lives of writers.
    pub(crate) lives: usize,
    /// Lines that a kill cut short.
    pub(crate) torn: usize,
    /// Calls that were answered, and the longest of them.
    pub(crate) answered: u64,
    pub(crate) longest: Option<Call>,
    /// How often each answer was given.
    pub(crate) answers: BTreeMap<String, u64>,
}

/// A call and how long it took.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) token: Uuid,
    pub(crate) ms: u64,
    pub(crate) answer: String,
}

/// One append as its writer knows it, over all its attempts and lives.
#[derive(Debug)]
pub(crate) struct Noted {
    pub(crate) intent: Intent,
    pub(crate) acks: Vec<Ack>,
    /// The last refusal that settles the matter.
    pub(crate) refused: Option<String>,
    /// An attempt was under way when the writer died, or its outcome was said to be unknown.
    pub(crate) doubtful: bool,
    /// An attempt has begun and was not answered yet.
    pending: bool,
    /// Where the key's first effect is, as a refusal said.
    pub(crate) handled_at: Option<i64>,
}

/// What an append wants.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Intent {
    /// `append`, `repository` or `work`.
    pub(crate) how: String,
    /// `category/name`; none for a unit of work over several.
    pub(crate) stream: Option<String>,
    /// The version that must be the last; -1 for no event; none for any.
    pub(crate) expected: Option<i64>,
    /// How many events.
    pub(crate) count: usize,
    /// Their ids, where the writer chooses them.
    #[serde(default)]
    pub(crate) ids: Vec<Uuid>,
    pub(crate) key: Option<String>,
}

/// Where an append is, as its writer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) position: i64,
    pub(crate) version: Option<i64>,
}

#[derive(Deserialize)]
struct Line {
    what: String,
    token: Uuid,
    #[serde(flatten)]
    intent: Option<Intent>,
    #[serde(default)]
    why: String,
    ms: Option<u64>,
    position: Option<i64>,
    version: Option<i64>,
}

/// What became of an append, as far as its writer can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Acknowledged(Ack),
    /// Nothing was written.
    Refused,
    /// There or not, but wholly.
    Unknown,
}

impl Journals {
    /// Reads every `NAME-LIFE.jsonl` of a folder; a writer's lives in their order.
    ///
    /// # Errors
    /// The folder cannot be read, or a line that was written whole makes no sense.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut journals = Self::default();
        for path in files(folder)? {
            let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
            journals.lives += 1;
            let text = String::from_utf8_lossy(&bytes);
            let (whole, torn) = text.rsplit_once('\n').unwrap_or(("", &text));
            journals.torn += usize::from(!torn.is_empty());
            for line in whole.lines() {
                let noted = journals.take(line);
                noted.with_context(|| format!("{}: {line}", path.display()))?;
            }
        }
        Ok(journals)
    }

    fn take(&mut self, line: &str) -> anyhow::Result<()> {
        let line: Line = serde_json::from_str(line)?;
        if line.what == "try" {
            let intent = line.intent.context("an intent without its content")?;
            self.appends.insert(line.token, Noted::new(intent));
            return Ok(());
        }
        let noted = self.appends.get_mut(&line.token);
        let noted = noted.context("an outcome of nothing that was begun")?;
        if line.what == "again" {
            noted.doubtful |= noted.pending;
            noted.pending = true;
            return Ok(());
        }
        noted.answer(&line)?;
        let answer = format!("{} {}", line.what, line.why).trim().to_owned();
        *self.answers.entry(answer.clone()).or_default() += 1;
        self.answered += 1;
        let ms = line.ms.unwrap_or(0);
        if self.longest.as_ref().is_none_or(|longest| longest.ms < ms) {
            let token = line.token;
            self.longest = Some(Call { token, ms, answer });
        }
        Ok(())
    }
}

impl Noted {
    fn new(intent: Intent) -> Self {
        Self {
            intent,
            acks: Vec::new(),
            refused: None,
            doubtful: false,
            pending: true,
            handled_at: None,
        }
    }

    fn answer(&mut self, line: &Line) -> anyhow::Result<()> {
        self.pending = false;
        match line.what.as_str() {
            "ack" => self.acks.push(Ack {
                position: line.position.context("an ack without a position")?,
                version: line.version,
            }),
            "unknown" => self.doubtful = true,
            "refused" if settles(&line.why) => {
                self.handled_at = line.position;
                self.refused = Some(line.why.clone());
            }
            "refused" => {}
            other => bail!("`{other}` is no outcome"),
        }
        Ok(())
    }

    pub(crate) fn fate(&self) -> Fate {
        match (self.acks.first(), &self.refused) {
            (Some(ack), _) => Fate::Acknowledged(*ack),
            (None, Some(_)) => Fate::Refused,
            (None, None) if self.pending || self.doubtful => Fate::Unknown,
            (None, None) => Fate::Refused,
        }
    }

    /// Whether the writer ever had to ask itself what became of it.
    pub(crate) fn was_in_doubt(&self) -> bool {
        self.doubtful || self.pending
    }
}

/// Whether a refusal also answers for attempts before it whose outcome was not known: a version that moved on and a
/// key that is taken stay so. A log that is merely out of reach says nothing about them.
fn settles(why: &str) -> bool {
    ["conflict", "handled", "claim lost", "invalid"].contains(&why)
}

/// By writer, then by life: `w2-10` comes after `w2-9`.
fn files(folder: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let (name, life) = stem.rsplit_once('-').unwrap_or((&stem, "0"));
        let life: u64 = life.parse().unwrap_or(0);
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            found.push((name.to_owned(), life, path.clone()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, _, path)| path).collect())
}
