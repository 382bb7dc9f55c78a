//! Who imports whom, by paths of the repository, and drift from what is declared.

use crate::config::{Config, Layer};
use crate::facts::{Facts, Import};
use crate::found::Found;
use crate::model::Language;

/// All files together.
pub(crate) struct Project {
    pub(crate) facts: Vec<Facts>,
    /// Cargo packages: name as an import writes it, folder.
    pub(crate) packages: Vec<(String, String)>,
    /// The module path of `go.mod`.
    pub(crate) go_module: Option<String>,
    pub(crate) config: Config,
}

/// An import that leads to a place in the repository.
pub(crate) struct Edge<'a> {
    pub(crate) from: &'a Facts,
    pub(crate) import: &'a Import,
    /// Path from the root, of a folder or of a file without its end.
    pub(crate) to: String,
}

impl Project {
    /// Imports outside tests that lead into the repository.
    pub(crate) fn edges(&self) -> impl Iterator<Item = Edge<'_>> {
        self.facts
            .iter()
            .filter(|facts| !facts.is_test && !facts.is_generated)
            .flat_map(move |from| {
                from.imports
                    .iter()
                    .filter(|import| !import.in_test)
                    .filter_map(move |import| {
                        let to = self.resolve(from, &import.path)?;
                        Some(Edge { from, import, to })
                    })
            })
    }

    fn resolve(&self, from: &Facts, path: &str) -> Option<String> {
        match from.language {
            Language::Go => {
                let inner = path.strip_prefix(self.go_module.as_deref()?)?;
                Some(inner.trim_start_matches('/').to_owned())
            }
            Language::Rust => self.resolve_rust(&from.path, path),
            _ => None,
        }
    }

    fn resolve_rust(&self, from: &str, path: &str) -> Option<String> {
        let mut parts = path.split("::").filter(|part| !part.is_empty());
        let first = parts.next()?;
        let source = from
            .rfind("src/")
            .map(|at| &from[..at + 3])
            .unwrap_or("src");
        let mut base = match first {
            "crate" => source.to_owned(),
            "self" => module_of(from),
            "super" => up(&module_of(from)),
            name => {
                let (_, folder) = self.packages.iter().find(|(package, _)| package == name)?;
                if folder.is_empty() {
                    "src".to_owned()
                } else {
                    format!("{folder}/src")
                }
            }
        };
        for part in parts {
            if part == "super" {
                base = up(&base);
            } else if part.starts_with(char::is_lowercase) {
                base = format!("{base}/{part}");
            } else {
                break;
            }
        }
        Some(base)
    }

    /// The text of the first mark in the repository.
    pub(crate) fn mark<'a>(&'a self, mark: &'a str) -> Option<(&'a Facts, u32, &'a str)> {
        self.marks(mark).next()
    }

    pub(crate) fn marks<'a>(
        &'a self,
        mark: &'a str,
    ) -> impl Iterator<Item = (&'a Facts, u32, &'a str)> {
        self.facts.iter().flat_map(move |facts| {
            facts
                .marks
                .iter()
                .filter(move |(name, _, _)| *name == mark)
                .map(move |(_, line, text)| (facts, *line, text.as_str()))
        })
    }

    pub(crate) fn has_mark(&self, marks: &[&str]) -> bool {
        marks.iter().any(|mark| self.mark(mark).is_some())
    }
}

fn module_of(path: &str) -> String {
    let stem = path.trim_end_matches(".rs");
    stem.trim_end_matches("/mod")
        .trim_end_matches("/lib")
        .trim_end_matches("/main")
        .to_owned()
}

fn up(path: &str) -> String {
    path.rsplit_once('/')
        .map_or("", |(folder, _)| folder)
        .to_owned()
}

/// Arrows that are there and not declared.
pub(crate) fn drift(project: &Project, found: &mut Found) {
    let declared = &project.config.architecture;
    for areas in [&declared.layer, &declared.context] {
        for edge in project.edges() {
            let (Some(from), Some(to)) = (area(areas, &edge.from.path), area(areas, &edge.to))
            else {
                continue;
            };
            if from != to && !declared.allows(from, to) {
                let message =
                    format!("`{from}` imports `{to}`, an arrow that stanchion.toml does not allow");
                found.at_fact(edge.from, edge.import.line, &edge.import.path, &message);
            }
        }
    }
}

/// The area of a path: the one with the longest pattern, so that an inner one may be declared.
pub(crate) fn area<'a>(areas: &'a [Layer], path: &str) -> Option<&'a str> {
    let depth = |area: &&Layer| {
        area.paths
            .iter()
            .map(|path| path.matches('/').count())
            .max()
    };
    areas
        .iter()
        .filter(|area| area.holds(path))
        .max_by_key(depth)
        .map(|area| area.name.as_str())
}
