//! Which files of a repository are read: bounded, in one order, never out of the root.

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::Language;

/// What a review reads at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Files; 20,000.
    pub files: usize,
    /// Bytes of one file; 1 MiB. A larger one is named as skipped.
    pub file_bytes: u64,
    /// Folders in folders; 32.
    pub depth: usize,
    /// Entries of all folders, read or not; 400,000.
    pub entries: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            files: 20_000,
            file_bytes: 1 << 20,
            depth: 32,
            entries: 400_000,
        }
    }
}

/// A file or folder that was not read, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// Path from the root.
    pub path: String,
    /// Why.
    pub reason: &'static str,
}

/// What the walk gave.
#[derive(Default)]
pub(crate) struct Walk {
    pub(crate) files: Vec<(String, PathBuf, Language)>,
    pub(crate) skipped: Vec<Skipped>,
    /// Files that say something by being there: migrations, workflows, alert rules.
    pub(crate) others: Vec<String>,
    pub(crate) go_mod: Option<String>,
}

/// Folders of other people's code and of build output.
const NOT_OURS: [&str; 12] = [
    "target",
    "node_modules",
    "vendor",
    "third_party",
    "thirdparty",
    "dist",
    "testdata",
    "__pycache__",
    "venv",
    "bazel-out",
    "site-packages",
    "generated",
];
/// Skipped entries that are named; more are only counted in the last one.
const SKIPPED_MAX: usize = 100;

pub(crate) fn walk(root: &Path, bounds: &Bounds, exclude: &[String]) -> Walk {
    let mut walk = Walk::default();
    let ignored = ignored_folders(root);
    let mut open = vec![(root.to_path_buf(), String::new(), 0_usize)];
    let mut entries = 0_usize;
    while let Some((folder, path, depth)) = open.pop() {
        let Ok(listing) = fs::read_dir(&folder) else {
            walk.skip(&path, "cannot be read");
            continue;
        };
        let mut names: Vec<_> = Vec::new();
        for entry in listing.flatten() {
            entries += 1;
            if entries > bounds.entries {
                walk.skip(&path, "too many entries: the rest was not read");
                return walk.sorted();
            }
            names.push(entry);
        }
        names.sort_unstable_by_key(fs::DirEntry::file_name);
        for entry in names {
            let name = entry.file_name().to_string_lossy().into_owned();
            let inner = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}/{name}")
            };
            if excluded(&inner, exclude) {
                continue;
            }
            // The entry's own type: a link is a link here, wherever it points.
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_symlink() {
                walk.skip(&inner, "a link");
            } else if kind.is_dir() {
                if !left_out(&name) && !ignored.contains(&inner) && !ignored.contains(&name) {
                    if depth >= bounds.depth {
                        walk.skip(&inner, "too deep");
                    } else {
                        open.push((entry.path(), inner, depth + 1));
                    }
                }
            } else if kind.is_file() && !walk.take(&entry, inner, bounds) {
                return walk.sorted();
            }
        }
    }
    walk.sorted()
}

impl Walk {
    fn skip(&mut self, path: &str, reason: &'static str) {
        if self.skipped.len() < SKIPPED_MAX {
            self.skipped.push(Skipped {
                path: path.to_owned(),
                reason,
            });
        }
    }

    /// Takes a file; false once there are enough.
    fn take(&mut self, entry: &fs::DirEntry, path: String, bounds: &Bounds) -> bool {
        if path == "go.mod" {
            let small = entry.metadata().is_ok_and(|about| about.len() < 1 << 20);
            self.go_mod = small
                .then(|| fs::read_to_string(entry.path()).ok())
                .flatten();
        }
        let Some(language) = language_of(&path) else {
            if telling(&path) && self.others.len() < 1000 {
                self.others.push(path);
            }
            return true;
        };
        if entry
            .metadata()
            .map_or(true, |about| about.len() > bounds.file_bytes)
        {
            self.skip(&path, "larger than the bound for a file");
            return true;
        }
        if self.files.len() >= bounds.files {
            self.skip(&path, "more files than the bound: the rest was not read");
            return false;
        }
        self.files.push((path, entry.path(), language));
        true
    }

    fn sorted(mut self) -> Self {
        self.files
            .sort_unstable_by(|one, other| one.0.cmp(&other.0));
        self.others.sort_unstable();
        self
    }
}

/// Hidden folders are skipped but those of workflows, which are evidence.
fn left_out(name: &str) -> bool {
    NOT_OURS.contains(&name) || (name.starts_with('.') && name != ".github")
}

fn excluded(path: &str, exclude: &[String]) -> bool {
    exclude
        .iter()
        .map(|prefix| prefix.trim_end_matches('/'))
        .any(|prefix| {
            path == prefix
                || path
                    .strip_prefix(prefix)
                    .is_some_and(|rest| rest.starts_with('/'))
        })
}

/// Plain folders of the root's `.gitignore`; patterns are left to git.
fn ignored_folders(root: &Path) -> Vec<String> {
    let path = root.join(".gitignore");
    let small =
        fs::symlink_metadata(&path).is_ok_and(|about| about.is_file() && about.len() < 1 << 16);
    let text = if small {
        fs::read_to_string(path).unwrap_or_default()
    } else {
        String::new()
    };
    text.lines()
        .map(str::trim)
        .filter(|line| {
            line.ends_with('/') && !line.starts_with(['#', '!']) && !line.contains(['*', '?', '['])
        })
        .map(|line| line.trim_matches('/').to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

fn language_of(path: &str) -> Option<Language> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let lower = name.to_ascii_lowercase();
    let yaml = lower.ends_with(".yaml") || lower.ends_with(".yml");
    if lower.ends_with(".rs") {
        Some(Language::Rust)
    } else if lower.ends_with(".go") {
        Some(Language::Go)
    } else if lower == "dockerfile"
        || lower == "containerfile"
        || lower.ends_with(".dockerfile")
        || (lower.starts_with("dockerfile.") && !is_template(&lower))
    {
        Some(Language::Docker)
    } else if yaml && (lower.starts_with("compose") || lower.starts_with("docker-compose")) {
        Some(Language::Compose)
    } else if yaml && !path.starts_with(".github/") {
        Some(Language::Kubernetes)
    } else {
        None
    }
}

/// What is filled in before anything reads it.
fn is_template(name: &str) -> bool {
    [
        ".j2",
        ".jinja",
        ".jinja2",
        ".tmpl",
        ".tpl",
        ".erb",
        ".in",
        ".mustache",
        ".md",
    ]
    .iter()
    .any(|end| name.ends_with(end))
}

fn telling(path: &str) -> bool {
    let extension = path.rsplit('.').next().unwrap_or("");
    path.starts_with(".github/workflows/")
        || ["sql", "md", "toml", "json"].contains(&extension)
        || path.ends_with(".env.example")
        || path.ends_with("Makefile")
}
