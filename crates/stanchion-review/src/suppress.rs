//! Suppressions in the code: `// stanchion:allow(rule): the reason`.
//!
//! One at the end of a line is for that line; one on a line of its own is for the next line of code. A suppression
//! without a reason suppresses nothing and is a finding, and so is one that suppresses nothing.

use crate::found::Found;
use crate::model::Finding;
use crate::rules;
use crate::source::Source;

const MARK: &str = "stanchion:allow(";

/// The most that are read of one file; nobody writes more, and each looks for the line that it is for.
const SUPPRESSIONS_MAX: usize = 500;

struct Suppression<'a> {
    rules: Vec<&'a str>,
    reason: bool,
    /// Where it is written.
    line: u32,
    /// What it is for.
    target: u32,
}

/// Removes what is suppressed; adds what is wrong with the suppressions. Returns how many were removed.
pub(crate) fn apply(source: &Source, findings: &mut Vec<Finding>) -> usize {
    if !source.text.contains(MARK) {
        return 0;
    }
    let all = read(source);
    let before = findings.len();
    let mut used = vec![false; all.len()];
    findings.retain(|finding| {
        let by = all.iter().position(|one| {
            one.reason && one.target == finding.line && one.rules.contains(&finding.rule)
        });
        if let Some(index) = by {
            used[index] = true;
        }
        by.is_none()
    });
    let removed = before - findings.len();
    let mut bare = Found::new(&rules::suppression_without_reason::RULE, Some(source), true);
    let mut idle = Found::new(&rules::suppression_unused::RULE, Some(source), true);
    for (one, used) in all.iter().zip(used) {
        if !one.reason {
            bare.at_line(
                one.line,
                "This suppression gives no reason, so it suppresses nothing",
            );
        } else if !used {
            idle.at_line(one.line, "This suppression suppresses nothing");
        }
    }
    findings.extend(bare.findings);
    findings.extend(idle.findings);
    removed
}

fn read(source: &Source) -> Vec<Suppression<'_>> {
    let mut all = Vec::new();
    for line in 1..=source.line_count() {
        if all.len() >= SUPPRESSIONS_MAX {
            break;
        }
        let text = source.line(line);
        let Some((before, rest)) = text.split_once(MARK) else {
            continue;
        };
        let comment = before.trim();
        if comment.contains('`') {
            continue; // Prose that shows one.
        }
        // A text in quotes that shows a suppression is none.
        let at = source.start_of(line) + before.len();
        let coded = matches!(
            source.language,
            crate::model::Language::Rust | crate::model::Language::Go
        );
        if coded && !source.in_comment(at) {
            continue;
        }
        if !comment.ends_with("//") && !comment.ends_with('#') && !comment.ends_with("/*") {
            continue;
        }
        let Some((names, reason)) = rest.split_once(')') else {
            continue;
        };
        let alone = comment.len() <= 3;
        all.push(Suppression {
            rules: names.split(',').map(str::trim).collect(),
            reason: reason
                .trim_start_matches(':')
                .trim()
                .chars()
                .filter(|letter| letter.is_alphabetic())
                .count()
                >= 8,
            line,
            target: if alone { next_code(source, line) } else { line },
        });
    }
    all
}

fn next_code(source: &Source, line: u32) -> u32 {
    let code = |line: &u32| {
        let text = source.line(*line).trim();
        !text.is_empty()
            && !text.starts_with("//")
            && !text.starts_with("#[")
            && !text.starts_with("# ")
    };
    (line + 1..=source.line_count()).find(code).unwrap_or(line)
}
