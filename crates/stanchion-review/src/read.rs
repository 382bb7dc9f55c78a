//! One file: parsed, asked by every rule, turned into facts.

use crate::architecture::Project;
use crate::config::Config;
use crate::facts::{self, Facts};
use crate::found::Found;
use crate::model::{Check, Finding, Language};
use crate::rules;
use crate::source::Source;
use crate::suppress;

/// What one file gave.
pub(crate) struct Page {
    pub(crate) facts: Facts,
    pub(crate) findings: Vec<Finding>,
    pub(crate) suppressed: usize,
    /// The parser could not take it whole.
    pub(crate) cut: bool,
    pub(crate) lines: u32,
}

/// Reads one file.
pub(crate) fn page(path: &str, language: Language, text: String) -> Page {
    let source = Source::new(path, language, text);
    let mut findings = Vec::new();
    if !source.is_generated {
        for rule in rules::all() {
            for check in rule.checks {
                let (with_tests, run) = match check {
                    Check::File(of, run) if *of == language => (false, run),
                    Check::Tests(of, run) if *of == language => (true, run),
                    _ => continue,
                };
                let mut found = Found::new(rule, Some(&source), with_tests);
                run(&source, &mut found);
                findings.extend(found.findings);
            }
        }
    }
    let suppressed = suppress::apply(&source, &mut findings);
    Page {
        facts: facts::of(&source),
        findings,
        suppressed,
        cut: source.tree.cut,
        lines: source.line_count(),
    }
}

/// What rules over the whole repository find.
pub(crate) fn project_findings(project: &Project) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in rules::all() {
        for check in rule.checks {
            if let Check::Project(run) = check {
                let mut found = Found::new(rule, None, false);
                run(project, &mut found);
                findings.extend(found.findings);
            }
        }
    }
    findings
}

/// Reviews a text as a repository of one or more files, each headed by `//- path`.
///
/// This is how the rules' examples are tested and how the review is fuzzed; an editor may use it for one buffer.
pub fn review_text(language: Language, text: &str) -> Vec<Finding> {
    let mut config = Config::default();
    let mut go_module = None;
    let mut packages = vec![("this".to_owned(), String::new())];
    let (mut facts, mut findings) = (Vec::new(), Vec::new());
    for (path, text) in files(language, text) {
        match path {
            "stanchion.toml" => config = Config::parse(&text).unwrap_or_default(),
            "go.mod" => {
                go_module = text
                    .lines()
                    .find_map(|line| line.strip_prefix("module "))
                    .map(str::to_owned)
            }
            _ if path.ends_with("Cargo.toml") => packages.extend(package(path, &text)),
            _ => {
                let page = page(path, language, text);
                findings.extend(page.findings);
                facts.push(page.facts);
            }
        }
    }
    findings.extend(project_findings(&Project {
        facts,
        packages,
        go_module,
        config,
    }));
    findings.sort_by(|one, other| one.order().cmp(&other.order()));
    findings
}

/// The name and folder of a Cargo package.
pub(crate) fn package(path: &str, text: &str) -> Option<(String, String)> {
    let manifest: toml::Table = toml::from_str(text).ok()?;
    let name = manifest
        .get("package")?
        .get("name")?
        .as_str()?
        .replace('-', "_");
    Some((
        name,
        path.trim_end_matches("Cargo.toml")
            .trim_end_matches('/')
            .to_owned(),
    ))
}

fn files(language: Language, text: &str) -> Vec<(&str, String)> {
    let default = match language {
        Language::Rust => "src/lib.rs",
        Language::Go => "service.go",
        Language::Docker => "Dockerfile",
        Language::Kubernetes => "deploy.yaml",
        Language::Compose => "compose.yaml",
    };
    let mut all: Vec<(&str, String)> = Vec::new();
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("//- ") {
            all.push((path.trim(), String::new()));
            continue;
        }
        if all.is_empty() {
            all.push((default, String::new()));
        }
        if let Some((_, body)) = all.last_mut() {
            body.push_str(line);
            body.push('\n');
        }
    }
    all
}
