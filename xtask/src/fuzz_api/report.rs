//! What schemathesis says of its run, in the few lines a person wants.

use std::{fmt, fs, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

pub(super) struct Report {
    pub(super) cases: u64,
    json: Value,
}

pub(super) fn read(path: &Path) -> Result<Report> {
    let text = fs::read_to_string(path).context("schemathesis wrote no report")?;
    let json: Value = serde_json::from_str(&text)?;
    let cases = json["test_cases"]["generated"]
        .as_u64()
        .context("the report counts its test cases")?;
    Ok(Report { cases, json })
}

impl Report {
    fn phases(&self) -> impl Iterator<Item = (&String, &str)> {
        let phases = self.json["phases"].as_object().into_iter().flatten();
        phases.map(|(name, phase)| (name, phase["status"].as_str().unwrap_or("?")))
    }

    /// Operations whose every request was refused before it reached the rules: fuzzed in name only.
    fn never_accepted(&self) -> Vec<&String> {
        let accepted = |phases: &Value| {
            let phases = phases.as_object().into_iter().flatten();
            phases
                .map(|(_, rates)| rates["accepted"].as_u64().unwrap_or(0))
                .sum::<u64>()
        };
        let operations = self.json["valid_rates"].as_object().into_iter().flatten();
        operations
            .filter(|(_, phases)| accepted(phases) == 0)
            .map(|(name, _)| name)
            .collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |pointer: &str| {
            self.json
                .pointer(pointer)
                .and_then(Value::as_u64)
                .unwrap_or(0)
        };
        writeln!(
            out,
            "operations  {} of {}",
            number("/operations/tested"),
            number("/operations/total")
        )?;
        for (name, status) in self.phases() {
            writeln!(out, "{name:<11} {status}")?;
        }
        for name in self.never_accepted() {
            writeln!(out, "no request was accepted by {name}")?;
        }
        let failures = number("/test_cases/unique_failures");
        write!(
            out,
            "cases       {} generated, {failures} kinds of failure, seed {}",
            self.cases,
            number("/seed")
        )
    }
}
