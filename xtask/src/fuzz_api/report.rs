//! What schemathesis says of its run, in the few lines a person wants.

use std::{fmt, fs, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

pub(super) struct Report {
    pub(super) cases: u64,
    json: Value,
    /// Answers by phase and class, as the hooks counted them.
    counts: Value,
}

/// The classes of answers that are shown; whatever else there is counts among the cases.
const CLASSES: [&str; 3] = ["2xx", "4xx", "5xx"];

pub(super) fn read(report: &Path, counts: &Path) -> Result<Report> {
    let text = fs::read_to_string(report).context("schemathesis wrote no report")?;
    let counts = fs::read_to_string(counts).context("the hooks wrote no counts")?;
    Report::of(serde_json::from_str(&text)?, serde_json::from_str(&counts)?)
}

impl Report {
    fn of(json: Value, counts: Value) -> Result<Self> {
        let cases = json["test_cases"]["generated"]
            .as_u64()
            .context("the report counts its test cases")?;
        Ok(Self {
            cases,
            json,
            counts,
        })
    }

    fn number(&self, pointer: &str) -> u64 {
        let number = self.json.pointer(pointer);
        number.and_then(Value::as_u64).unwrap_or(0)
    }

    fn phases(&self) -> impl Iterator<Item = Phase<'_>> {
        let phases = self.json["phases"].as_object().into_iter().flatten();
        phases.map(|(name, phase)| Phase {
            name,
            status: phase["status"].as_str().unwrap_or("?"),
            answers: &self.counts[name],
        })
    }

    /// Operations whose every request was refused before it reached the rules: fuzzed in name only.
    fn never_accepted(&self) -> Vec<&str> {
        let accepted = |phases: &Value| {
            let phases = phases.as_object().into_iter().flatten();
            phases
                .map(|(_, rates)| rates["accepted"].as_u64().unwrap_or(0))
                .sum::<u64>()
        };
        let operations = self.json["valid_rates"].as_object().into_iter().flatten();
        operations
            .filter(|(_, phases)| accepted(phases) == 0)
            .map(|(name, _)| name.as_str())
            .collect()
    }

    fn failures(&self) -> impl Iterator<Item = (&str, u64)> {
        let failures = self.json["failures"].as_array().into_iter().flatten();
        failures.map(|failure| {
            let title = failure["title"].as_str().unwrap_or("?");
            (title, failure["count"].as_u64().unwrap_or(0))
        })
    }
}

struct Phase<'a> {
    name: &'a str,
    status: &'a str,
    answers: &'a Value,
}

impl Phase<'_> {
    fn of_class(&self, class: &str) -> u64 {
        self.answers[class].as_u64().unwrap_or(0)
    }

    fn cases(&self) -> u64 {
        let answers = self.answers.as_object().into_iter().flatten();
        answers.filter_map(|(_, count)| count.as_u64()).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [good, refused, broken] = CLASSES;
        writeln!(
            out,
            "phase      result    answers  {good:>6}  {refused:>6}  {broken:>6}"
        )?;
        for phase in self.phases() {
            let [good, refused, broken] = CLASSES.map(|class| phase.of_class(class));
            let (name, status, cases) = (phase.name, phase.status, phase.cases());
            writeln!(
                out,
                "{name:<9}  {status:<8}  {cases:>7}  {good:>6}  {refused:>6}  {broken:>6}"
            )?;
        }
        let (tested, total) = (
            self.number("/operations/tested"),
            self.number("/operations/total"),
        );
        writeln!(out, "\noperations  {tested} of {total}")?;
        for name in self.never_accepted() {
            writeln!(out, "            no request was accepted by {name}")?;
        }
        let seconds = self.json["running_time"].as_f64().unwrap_or(0.0);
        let seed = self.number("/seed");
        writeln!(
            out,
            "cases       {} in {seconds:.0} s, all checks, seed {seed}",
            self.cases
        )?;
        let right = self.number("/filtered");
        writeln!(
            out,
            "refusals    {right} of good requests were right: fuzz_api/refusals.py says why"
        )?;
        for (title, count) in self.failures() {
            writeln!(out, "            {count} × {title}")?;
        }
        write!(
            out,
            "failures    {} kinds",
            self.number("/test_cases/unique_failures")
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_sees_what_was_covered_and_what_was_found() {
        let phases = json!({"coverage": {"status": "failure"}, "fuzzing": {"status": "success"}});
        let rates = json!({
            "GET /a": {"coverage": {"accepted": 3}, "fuzzing": {"accepted": 0}},
            "POST /b": {"fuzzing": {"accepted": 0}},
        });
        let failures = json!([{"title": "Server error", "count": 2}]);
        let report = json!({
            "seed": 7, "running_time": 12.4, "operations": {"total": 2, "tested": 2}, "phases": phases,
            "test_cases": {"generated": 40, "unique_failures": 1}, "filtered": 5, "valid_rates": rates,
            "failures": failures,
        });
        let counts = json!({"coverage": {"2xx": 3, "4xx": 20, "5xx": 2}, "fuzzing": {"4xx": 15}});
        let expected = "\
phase      result    answers     2xx     4xx     5xx
coverage   failure        25       3      20       2
fuzzing    success        15       0      15       0

operations  2 of 2
            no request was accepted by POST /b
cases       40 in 12 s, all checks, seed 7
refusals    5 of good requests were right: fuzz_api/refusals.py says why
            2 × Server error
failures    1 kinds";
        assert_eq!(Report::of(report, counts).unwrap().to_string(), expected);
    }
}
