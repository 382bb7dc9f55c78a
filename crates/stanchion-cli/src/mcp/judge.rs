//! The tools that read source: `review` and `explain`.

use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use stanchion_review::{Options, changed_lines, report, review, rule_by_name};

use crate::root::Root;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Review {
    folder: String,
    diff: Option<String>,
    severity: String,
    confidence: String,
    only: Vec<String>,
}

impl Default for Review {
    fn default() -> Self {
        Self {
            folder: String::new(),
            diff: None,
            severity: "low".into(),
            confidence: "low".into(),
            only: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Explain {
    rule: Option<String>,
}

/// Nothing outside of the root is read: the folder is inside of it, and a review follows no links.
pub(super) fn reviewed(root: &Root, asked: Review) -> anyhow::Result<Value> {
    let folder = root.resolve(Path::new(&asked.folder))?;
    for name in &asked.only {
        rule(name)?;
    }
    let severity = level(&asked.severity)?;
    let confidence = level(&asked.confidence)?;
    let changed = asked
        .diff
        .as_deref()
        .map(|revision| changed_lines(&folder, revision).map_err(anyhow::Error::msg));
    let changed = changed.transpose()?;
    let mut done = review(&folder, &Options::from_root(&folder)?)
        .with_context(|| format!("{} cannot be reviewed", asked.folder))?;
    done.retain(|finding| {
        let is_wanted = asked.only.is_empty() || asked.only.iter().any(|name| name == finding.rule);
        is_wanted
            && rank(finding.severity.as_str()) >= severity
            && rank(finding.confidence.as_str()) >= confidence
    });
    if let Some(changed) = changed {
        done.retain(|finding| changed.touches(&finding.path, finding.line));
    }
    let told: Value = serde_json::from_str(&report::json(&done)?)?;
    Ok(json!({ "review": told, "text": report::markdown(&done) }))
}

pub(super) fn explained(asked: &Explain) -> anyhow::Result<Value> {
    let text = match &asked.rule {
        Some(name) => report::explain(rule(name)?),
        None => report::rules_markdown(),
    };
    Ok(json!({ "text": text }))
}

fn rule(name: &str) -> anyhow::Result<&'static stanchion_review::Rule> {
    rule_by_name(name)
        .with_context(|| format!("there is no rule `{name}`; `explain` without a name lists them"))
}

fn level(text: &str) -> anyhow::Result<usize> {
    ensure!(
        LEVELS.contains(&text),
        "a level is one of {}",
        LEVELS.join(", ")
    );
    Ok(rank(text))
}

const LEVELS: [&str; 3] = ["low", "medium", "high"];

fn rank(text: &str) -> usize {
    LEVELS.iter().position(|level| *level == text).unwrap_or(0)
}
