//! SARIF 2.1.0, which forges and editors show beside the code.

use serde_json::{Value, json};

use crate::model::{Confidence, Finding, Rule, Severity};
use crate::review::Review;
use crate::rules;

/// Results in one file: what GitHub takes of a run. The worst are kept.
const RESULTS_MAX: usize = 5000;

/// The review as a SARIF log.
///
/// # Errors
/// None that a review can cause; the serialiser's signature has one.
pub fn sarif(review: &Review) -> Result<String, serde_json::Error> {
    let mut used: Vec<&Rule> = Vec::new();
    for finding in &review.findings {
        if let Some(rule) = rules::by_name(finding.rule)
            && !used.iter().any(|one| one.name == rule.name)
        {
            used.push(rule);
        }
    }
    let results: Vec<Value> = review
        .findings
        .iter()
        .take(RESULTS_MAX)
        .map(|finding| result(finding, &used))
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "stanchion",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": used.iter().map(|rule| describe(rule)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { "ROOT": { "description": { "text": "The root of the repository." } } },
            "results": results,
        }],
    });
    Ok(serde_json::to_string_pretty(&log)? + "\n")
}

fn describe(rule: &Rule) -> Value {
    let precision = match rule.confidence {
        Confidence::High => "high",
        Confidence::Medium => "medium",
        Confidence::Low => "low",
    };
    json!({
        "id": rule.name,
        "shortDescription": { "text": rule.title },
        "fullDescription": { "text": rule.why },
        "help": { "text": format!("{}\n\nMend: {}\n\nSource: {}", rule.why, rule.mend, rule.source) },
        "defaultConfiguration": { "level": level(rule.severity) },
        "properties": { "precision": precision, "tags": [rule.point.title()] },
    })
}

fn result(finding: &Finding, used: &[&Rule]) -> Value {
    let index = used.iter().position(|rule| rule.name == finding.rule);
    json!({
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": level(finding.severity),
        "message": { "text": finding.message },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&finding.path), "uriBaseId": "ROOT" },
            "region": { "startLine": finding.line, "startColumn": finding.column, "snippet": { "text": finding.snippet } },
        }}],
        "partialFingerprints": { "stanchion/v1": finding.fingerprint },
        "properties": { "confidence": finding.confidence.as_str() },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

/// A path as a relative URI.
fn uri(path: &str) -> String {
    let mut all = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                all.push(byte as char)
            }
            _ => all.push_str(&format!("%{byte:02X}")),
        }
    }
    all
}
