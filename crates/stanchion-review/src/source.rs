//! One file as a rule sees it: text, tree, lines, and what in it is a test.

use std::ops::Range;

use crate::model::Language;
use crate::node::{self, Node, Tree};
use crate::opened::opened;

/// A file under review.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) language: Language,
    pub(crate) text: String,
    pub(crate) tree: Tree,
    lines: Vec<u32>,
    /// The whole file is a test, a bench or an example.
    pub(crate) is_test: bool,
    /// Made by a tool: not reviewed, only counted.
    pub(crate) is_generated: bool,
    tests: Vec<Range<usize>>,
    comments: Vec<Range<usize>>,
}

impl Source {
    pub(crate) fn new(path: &str, language: Language, text: String) -> Self {
        let is_generated = generated(path, &text);
        let tree = if is_generated {
            Tree::default()
        } else {
            match language {
                Language::Rust => node::parse(language, &opened(&text)),
                _ => node::parse(language, &text),
            }
        };
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0)
            .chain(starts.map(|(at, _)| u32::try_from(at + 1).unwrap_or(u32::MAX)))
            .collect();
        let mut source = Self {
            path: path.to_owned(),
            language,
            is_test: test_path(path),
            text,
            tree,
            lines,
            is_generated,
            tests: Vec::new(),
            comments: Vec::new(),
        };
        source.tests = test_ranges(&source);
        let kinds = ["comment", "line_comment", "block_comment"];
        let mut comments = Vec::new();
        for kind in kinds {
            comments.extend(source.each(kind).map(|node| node.start()..node.end()));
        }
        comments.sort_unstable_by_key(|range| range.start);
        source.comments = comments;
        source
    }

    pub(crate) fn slice(&self, start: usize, end: usize) -> &str {
        self.text.get(start..end).unwrap_or("")
    }

    /// Whether the text holds this outside comments.
    pub(crate) fn has(&self, needle: &str) -> bool {
        self.text
            .match_indices(needle)
            .any(|(at, _)| !self.in_comment(at))
    }

    /// Whether the text holds one of these outside comments.
    pub(crate) fn has_any(&self, needles: &[&str]) -> bool {
        needles.iter().any(|needle| self.has(needle))
    }

    pub(crate) fn in_comment(&self, at: usize) -> bool {
        within(&self.comments, at)
    }

    /// Whether this place is test code.
    pub(crate) fn in_test(&self, at: usize) -> bool {
        self.is_test || within(&self.tests, at)
    }

    /// Line from 1 of a byte.
    pub(crate) fn line_of(&self, at: usize) -> u32 {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        u32::try_from(self.lines.partition_point(|start| *start <= at)).unwrap_or(u32::MAX)
    }

    /// Column in characters from 1 of a byte.
    pub(crate) fn column_of(&self, at: usize) -> u32 {
        let start = self.lines[self.line_of(at) as usize - 1] as usize;
        let before = self.slice(start, at);
        // A line of a megabyte is counted by its bytes: only a person's editor needs characters.
        let count = if before.len() > 4096 {
            before.len()
        } else {
            before.chars().count()
        };
        u32::try_from(count + 1).unwrap_or(u32::MAX)
    }

    /// Byte at which a line begins.
    pub(crate) fn start_of(&self, line: u32) -> usize {
        self.lines
            .get((line as usize).saturating_sub(1))
            .copied()
            .unwrap_or(0) as usize
    }

    /// A line's text, from 1, without its end.
    pub(crate) fn line(&self, line: u32) -> &str {
        let index = (line as usize).saturating_sub(1);
        let start = self.lines.get(index).copied().unwrap_or(0) as usize;
        let end = self
            .lines
            .get(index + 1)
            .map_or(self.text.len(), |next| *next as usize);
        self.slice(start, end).trim_end_matches(['\n', '\r'])
    }

    pub(crate) fn line_count(&self) -> u32 {
        u32::try_from(self.lines.len()).unwrap_or(u32::MAX)
    }
}

fn within(ranges: &[Range<usize>], at: usize) -> bool {
    // Ranges of one list may nest only for modules in modules; the outer one comes first and holds the inner.
    let upto = ranges.partition_point(|range| range.start <= at);
    ranges[..upto]
        .iter()
        .rev()
        .take(8)
        .any(|range| range.contains(&at))
        || ranges.first().is_some_and(|range| range.contains(&at))
}

fn generated(path: &str, text: &str) -> bool {
    let head: String = text.chars().take(2000).collect();
    // Go's rule: https://go.dev/s/generatedcode
    let go = head
        .lines()
        .any(|line| line.starts_with("// Code generated ") && line.ends_with(" DO NOT EDIT."));
    go || head.contains("@generated") || path.ends_with(".pb.go") || path.ends_with("_gen.go")
}

fn test_path(path: &str) -> bool {
    let mut parts = path.split('/').rev();
    let name = parts.next().unwrap_or("");
    let stem = name.split('.').next().unwrap_or("");
    let by_name = name.ends_with("_test.go")
        || (name.ends_with(".rs")
            && ([
                "test",
                "tests",
                "testing",
                "test_utils",
                "test_helpers",
                "bench",
                "benches",
            ]
            .contains(&stem)
                || stem.ends_with("_test")
                || stem.ends_with("_tests")))
        || name == "build.rs"
        || stem.starts_with("mock")
        || stem.starts_with("fake")
        || (!name.ends_with(".rs")
            && !name.ends_with(".go")
            && for_developers(&name.to_ascii_lowercase()));
    let folders = [
        "tests",
        "test",
        "integration",
        "functional",
        "testsuites",
        "testdata",
        "benches",
        "bench",
        "examples",
        "example",
        "_examples",
        "mocks",
        "mock",
        "testutil",
        "testutils",
        "fixtures",
        "e2e",
        "fuzz",
        "xtask",
        "testing",
        "integration-test",
        "integration_test",
        "playwright",
        "cypress",
        "loadtest",
        "load-test",
        ".devcontainer",
        "integrationtest",
        "fakes",
        "fake",
    ];
    by_name || parts.any(|part| folders.contains(&part) || part.ends_with("-loadtest"))
}

/// Whether a Dockerfile or manifest says by its name that no service runs by it: `compose.e2e.yaml`, `Dockerfile.dev`.
fn for_developers(name: &str) -> bool {
    let words = [
        "e2e", "test", "tests", "testing", "dev", "devel", "local", "emulator", "ci", "compose",
    ];
    let compose = name.starts_with("compose") || name.starts_with("docker-compose");
    name.split(['.', '-', '_'])
        .any(|part| words.contains(&part) && !(compose && part == "compose"))
}

/// Modules under `cfg(test)` and functions under a test attribute.
fn test_ranges(source: &Source) -> Vec<Range<usize>> {
    if source.language == Language::Go {
        return go_helpers(source);
    }
    if source.language != Language::Rust {
        return Vec::new();
    }
    let mut ranges: Vec<_> = source
        .each("attribute_item")
        .filter(|attribute| is_test_attribute(attribute.text()))
        .filter_map(|attribute| {
            attribute
                .later_siblings()
                .find(|node| !node.is("attribute_item") && !node.kind().ends_with("comment"))
        })
        .map(|item| item.start()..item.end())
        .collect();
    if source
        .each("inner_attribute_item")
        .any(|attribute| attribute.text().contains("cfg(test)"))
    {
        ranges.push(0..source.text.len());
    }
    ranges.sort_unstable_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    ranges
}

/// Functions that are given a running test: helpers, whatever file they are in.
fn go_helpers(source: &Source) -> Vec<Range<usize>> {
    let given = ["testing.T", "testing.TB", "testing.B"];
    let helps = |function: &Node<'_>| {
        let parameters = function.field_text("parameters");
        parameters.contains("testing.") && given.iter().any(|test| parameters.contains(test))
    };
    let mut ranges: Vec<_> = functions(source)
        .filter(helps)
        .map(|function| function.start()..function.end())
        .collect();
    ranges.sort_unstable_by_key(|range| range.start);
    ranges
}

/// Whether an attribute makes what follows a test.
pub(crate) fn is_test_attribute(text: &str) -> bool {
    let inner = text.trim_start_matches("#[").trim_end_matches(']').trim();
    let path = inner.split(['(', '=']).next().unwrap_or("").trim();
    let last = path.rsplit("::").next().unwrap_or("");
    [
        "test",
        "rstest",
        "test_case",
        "test_log",
        "quickcheck",
        "bench",
    ]
    .contains(&last)
        || (path == "cfg" && inner.contains("test") && !inner.contains("not(test"))
}

/// Functions of a file with their bodies, the outer before the inner.
pub(crate) fn functions(source: &Source) -> impl Iterator<Item = Node<'_>> {
    let kinds: &[&str] = match source.language {
        Language::Rust => &["function_item"],
        Language::Go => &["function_declaration", "method_declaration"],
        Language::Docker | Language::Kubernetes | Language::Compose => &[],
    };
    kinds
        .iter()
        .flat_map(|kind| source.each(kind))
        .filter(|function| function.field("body").is_some())
}
