//! A whole repository: walk, read in parallel, answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, io, thread};

use serde::Serialize;

use crate::architecture::Project;
use crate::checklist::{self, Answer};
use crate::config::{Config, ConfigError};
use crate::evidence::{self, Evidence};
use crate::map::{self, LayerMap};
use crate::model::{Finding, Language};
use crate::read::{self, Page};
use crate::walk::{self, Bounds, Skipped};

/// The largest manifest that is read: 1 MiB.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// What to read, and how much of it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Bounds of the walk.
    pub bounds: Bounds,
    /// Threads; 0 is as many as the machine has, at most 16.
    pub threads: usize,
    /// The declared architecture and what is left out.
    pub config: Config,
}

impl Options {
    /// Options with the root's `stanchion.toml`, where there is one.
    ///
    /// # Errors
    /// [`ConfigError`] where it is not in order.
    pub fn from_root(root: &Path) -> Result<Self, ConfigError> {
        let path = root.join("stanchion.toml");
        let text = fs::symlink_metadata(&path)
            .is_ok_and(|about| about.is_file() && about.len() < 1 << 20)
            .then(|| fs::read_to_string(&path));
        let config = match text {
            Some(Ok(text)) => Config::parse(&text)?,
            _ => Config::default(),
        };
        Ok(Self {
            config,
            ..Self::default()
        })
    }
}

/// What a review found.
#[derive(Debug, Serialize)]
pub struct Review {
    /// Findings, the worst first.
    pub findings: Vec<Finding>,
    /// The checklist, a point an answer.
    pub answers: Vec<Answer>,
    /// Files read, tests included.
    pub files: usize,
    /// Their lines.
    pub lines: u64,
    /// Findings that a suppression with a reason took away.
    pub suppressed: usize,
    /// Findings that a baseline took away, or that lie outside a change.
    pub hidden: usize,
    /// Files and folders that were not read, with the reason.
    pub skipped: Vec<Skipped>,
    /// Languages found.
    pub languages: Vec<Language>,
    /// Whether something here listens on a port, so that the shipping checklist is asked.
    pub serves: bool,
    /// Areas and imports.
    pub map: LayerMap,
    #[serde(skip)]
    evidence: Vec<Evidence>,
}

impl Review {
    /// Leaves only findings that `keep` wants and answers the checklist again.
    pub fn retain(&mut self, keep: impl FnMut(&Finding) -> bool) {
        let before = self.findings.len();
        self.findings.retain(keep);
        self.hidden += before - self.findings.len();
        self.answers = checklist::answer(&self.findings, &self.evidence, self.serves);
    }

    /// Leaves only what a baseline does not know.
    pub fn retain_new(&mut self, baseline: &crate::Baseline) {
        self.hidden += baseline.retain_new(&mut self.findings);
        self.answers = checklist::answer(&self.findings, &self.evidence, self.serves);
    }
}

/// Reviews the repository at a folder. Reads files only; runs nothing of it.
///
/// # Errors
/// Where the root is not a folder that can be read. A file that cannot be read is named in [`Review::skipped`].
pub fn review(root: &Path, options: &Options) -> io::Result<Review> {
    let root = root.canonicalize()?;
    fs::read_dir(&root)?;
    let mut walk = walk::walk(&root, &options.bounds, &options.config.review.exclude);
    let (pages, unread) = read_all(&walk.files, options.threads, read_one);
    walk.skipped.extend(unread);
    let go_module = walk
        .go_mod
        .as_deref()
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix("module ")))
        .map(|line| line.trim().to_owned());
    Ok(assemble(&root, pages, walk, go_module, options))
}

fn assemble(
    root: &Path,
    pages: Vec<Page>,
    walk: walk::Walk,
    go_module: Option<String>,
    options: &Options,
) -> Review {
    let mut skipped = walk.skipped;
    let cut = pages.iter().filter(|page| page.cut).take(50);
    skipped.extend(cut.map(|page| Skipped {
        path: page.facts.path.clone(),
        reason: "read in part: nested too deep or too large for the parser",
    }));
    let (files, lines) = (
        pages.len(),
        pages.iter().map(|page| u64::from(page.lines)).sum(),
    );
    let suppressed = pages.iter().map(|page| page.suppressed).sum();
    let mut findings: Vec<Finding> = Vec::new();
    let mut facts = Vec::with_capacity(pages.len());
    for page in pages {
        findings.extend(page.findings);
        facts.push(page.facts);
    }
    let project = Project {
        packages: packages(root, &walk.others),
        facts,
        go_module,
        config: options.config.clone(),
    };
    findings.extend(read::project_findings(&project));
    findings.retain(|finding| {
        !options
            .config
            .review
            .disable
            .iter()
            .any(|name| name == finding.rule)
    });
    findings.sort_by(|one, other| one.order().cmp(&other.order()));
    let mut evidence: Vec<Evidence> = project
        .facts
        .iter()
        .flat_map(|facts| facts.evidence.iter().cloned())
        .collect();
    evidence.extend(evidence::of_others(&walk.others));
    let serves = project.facts.iter().any(|facts| facts.serves);
    let mut languages: Vec<Language> = project.facts.iter().map(|facts| facts.language).collect();
    languages.sort_unstable();
    languages.dedup();
    Review {
        answers: checklist::answer(&findings, &evidence, serves),
        map: map::of(&project),
        findings,
        files,
        lines,
        suppressed,
        hidden: 0,
        skipped,
        languages,
        serves,
        evidence,
    }
}

/// Cargo packages of the repository, by the manifests that the walk saw.
fn packages(root: &Path, others: &[String]) -> Vec<(String, String)> {
    let manifests = others
        .iter()
        .filter(|path| *path == "Cargo.toml" || path.ends_with("/Cargo.toml"));
    manifests
        .take(500)
        .filter_map(|path| read::package(path, &small(&root.join(path))?))
        .collect()
}

/// A manifest's text, unless it is larger than anybody writes one.
fn small(path: &Path) -> Option<String> {
    let size = fs::metadata(path).ok()?.len();
    (size < MANIFEST_BYTES_MAX).then(|| fs::read_to_string(path).ok())?
}

/// Reads files by as many threads as there are cores; each takes the next one, so a large file holds up nobody.
fn read_all(
    files: &[(String, PathBuf, Language)],
    threads: usize,
    read_one: impl Fn(&str, &Path, Language) -> Result<Option<Page>, &'static str> + Sync,
) -> (Vec<Page>, Vec<Skipped>) {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if threads == 0 { cores } else { threads }.clamp(1, 16);
    let next = AtomicUsize::new(0);
    let mut parts = thread::scope(|scope| {
        let work = || {
            let mut part = (Vec::new(), Vec::new());
            while let Some((path, at, language)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                // A rule that fails on one file must not take what else this thread read with it.
                let read = || read_one(path, at, *language);
                let read = catch_unwind(AssertUnwindSafe(read));
                match read.unwrap_or(Err("a rule failed on it: please report the file")) {
                    Ok(Some(page)) => part.0.push(page),
                    Ok(None) => {}
                    Err(reason) => part.1.push(Skipped {
                        path: path.clone(),
                        reason,
                    }),
                }
            }
            part
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles
            .into_iter()
            .filter_map(|handle| handle.join().ok())
            .collect::<Vec<_>>()
    });
    let mut pages: Vec<Page> = parts.iter_mut().flat_map(|part| part.0.drain(..)).collect();
    pages.sort_unstable_by(|one, other| one.facts.path.cmp(&other.facts.path));
    (pages, parts.into_iter().flat_map(|part| part.1).collect())
}

fn read_one(path: &str, at: &Path, language: Language) -> Result<Option<Page>, &'static str> {
    let bytes = fs::read(at).map_err(|_| "cannot be read")?;
    let text = String::from_utf8(bytes).map_err(|_| "not UTF-8")?;
    if language == Language::Kubernetes && !(text.contains("apiVersion:") && text.contains("kind:"))
    {
        return Ok(None);
    }
    Ok(Some(read::page(path, language, text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_panics_takes_no_other_file_of_its_thread_along() {
        let place = tempfile::tempdir().unwrap();
        let files = ["a.rs", "b.rs", "c.rs"].map(|name| {
            let at = place.path().join(name);
            fs::write(&at, "fn f() { unbounded_channel(); }\n").unwrap();
            (name.to_owned(), at, Language::Rust)
        });
        // One thread, so that all three are of the same one.
        let (pages, skipped) = read_all(&files, 1, |path, at, language| {
            assert!(path != "b.rs", "a rule that was not made for this");
            read_one(path, at, language)
        });
        let read: Vec<_> = pages.iter().map(|page| page.facts.path.as_str()).collect();
        assert_eq!(read, ["a.rs", "c.rs"]);
        assert!(pages.iter().all(|page| page.findings.len() == 1));
        let skipped: Vec<_> = skipped.iter().map(|skipped| &*skipped.path).collect();
        assert_eq!(skipped, ["b.rs"]);
    }
}
