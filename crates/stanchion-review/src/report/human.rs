//! For people: grouped by point, the worst first, the offending line and its mend.

use std::fmt::Write as _;

use crate::checklist::{Answer, Verdict};
use crate::found::printable_path;
use crate::model::{Finding, Rule, Severity};
use crate::review::Review;
use crate::rules;

/// How the text is shown.
#[derive(Clone, Copy, Debug)]
pub struct Human {
    /// ANSI colours; the caller asks `NO_COLOR` and whether a terminal listens.
    pub colour: bool,
    /// Findings shown of one rule; the rest is counted.
    pub per_rule: usize,
}

impl Default for Human {
    fn default() -> Self {
        Self {
            colour: false,
            per_rule: 5,
        }
    }
}

/// The whole review as text.
pub fn human(review: &Review, how: Human) -> String {
    let mut text = String::new();
    let mut answers: Vec<&Answer> = review.answers.iter().collect();
    // The point with the worst verdict first; the order of the checklist among equals.
    answers.sort_by_key(|answer| rank(answer.verdict));
    for answer in &answers {
        point(&mut text, review, answer, how);
    }
    checklist(&mut text, review, how);
    closing(&mut text, review, how);
    text
}

fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Broken => 0,
        Verdict::Weak => 1,
        Verdict::Unknown => 2,
        Verdict::Holds => 3,
        Verdict::NotAsked => 4,
    }
}

fn point(text: &mut String, review: &Review, answer: &Answer, how: Human) {
    let findings: Vec<&Finding> = review
        .findings
        .iter()
        .filter(|finding| finding.point == answer.point)
        .collect();
    if findings.is_empty() {
        return;
    }
    let _ = writeln!(text, "{}\n", paint(answer.point.title(), "1;4", how));
    let mut rules_seen: Vec<&str> = Vec::new();
    for finding in &findings {
        if rules_seen.contains(&finding.rule) {
            continue;
        }
        rules_seen.push(finding.rule);
        let same: Vec<_> = findings
            .iter()
            .filter(|other| other.rule == finding.rule)
            .collect();
        group(text, &same, how);
    }
}

/// All findings of one rule: said once why, shown each where.
fn group(text: &mut String, findings: &[&&Finding], how: Human) {
    let Some(first) = findings.first() else {
        return;
    };
    let Some(rule) = rules::by_name(first.rule) else {
        return;
    };
    let head = format!(
        "{} · {} sure",
        first.severity.as_str(),
        first.confidence.as_str()
    );
    let _ = writeln!(
        text,
        "  {}  {}  {}",
        paint(&head, hue(first.severity), how),
        paint(rule.title, "1", how),
        paint(rule.name, "2", how)
    );
    for finding in findings.iter().take(how.per_rule) {
        let path = printable_path(&finding.path);
        let place = format!("{path}:{}:{}", finding.line, finding.column);
        let said = if finding.message == rule.title {
            String::new()
        } else {
            format!("  {}", finding.message)
        };
        let _ = writeln!(text, "    {}{said}", paint(&place, "36", how));
        let _ = writeln!(text, "      {} {}", paint("│", "2", how), finding.snippet);
    }
    if findings.len() > how.per_rule {
        let _ = writeln!(
            text,
            "    … and {} more (--all shows them)",
            findings.len() - how.per_rule
        );
    }
    let _ = writeln!(text, "    {} {}", paint("why ", "2", how), rule.why);
    let _ = writeln!(text, "    {} {}\n", paint("mend", "32", how), rule.mend);
}

fn checklist(text: &mut String, review: &Review, how: Human) {
    let _ = writeln!(text, "{}\n", paint("The checklist", "1;4", how));
    for answer in &review.answers {
        let (mark, colour) = match answer.verdict {
            Verdict::Holds => ("holds  ", "32"),
            Verdict::Weak => ("weak   ", "33"),
            Verdict::Broken => ("broken ", "31"),
            Verdict::Unknown => ("unknown", "35"),
            Verdict::NotAsked => ("  –    ", "2"),
        };
        let _ = writeln!(
            text,
            "  {}  {}: {}",
            paint(mark, colour, how),
            paint(answer.point.title(), "1", how),
            printable_path(&answer.sentence)
        );
        if answer.verdict != Verdict::NotAsked {
            for evidence in answer.evidence.iter().take(3) {
                let _ = writeln!(
                    text,
                    "             {} {}:{}",
                    paint(evidence.what, "2", how),
                    printable_path(&evidence.path),
                    evidence.line
                );
            }
        }
    }
    text.push('\n');
}

fn closing(text: &mut String, review: &Review, how: Human) {
    let count = |severity| {
        review
            .findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    for skipped in review.skipped.iter().take(5) {
        let path = printable_path(&skipped.path);
        let _ = writeln!(text, "  not read: {path} ({})", skipped.reason);
    }
    if review.skipped.len() > 5 {
        let _ = writeln!(
            text,
            "  not read: {} more (--format json names them)",
            review.skipped.len() - 5
        );
    }
    let mut line = format!(
        "{} files, {} lines: {} findings ({} high, {} medium, {} low)",
        review.files,
        review.lines,
        review.findings.len(),
        count(Severity::High),
        count(Severity::Medium),
        count(Severity::Low)
    );
    if review.suppressed > 0 {
        let _ = write!(line, ", {} suppressed with a reason", review.suppressed);
    }
    if review.hidden > 0 {
        let _ = write!(
            line,
            ", {} not shown (known, unchanged or filtered out)",
            review.hidden
        );
    }
    let _ = writeln!(text, "{}", paint(&line, "1", how));
}

fn hue(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "31",
        Severity::Medium => "33",
        Severity::Low => "34",
    }
}

fn paint(text: &str, code: &str, how: Human) -> String {
    if how.colour {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// A rule as a page: what, why, mend and its examples.
pub fn explain(rule: &Rule) -> String {
    let mut text = format!(
        "{}: {}\n\n{}\n\nseverity {}, confidence {}, answers “{}”\nsource: {}\n\nMend: {}\n",
        rule.name,
        rule.title,
        rule.why,
        rule.severity.as_str(),
        rule.confidence.as_str(),
        rule.point.title(),
        rule.source,
        rule.mend
    );
    for example in rule.examples {
        let _ = write!(
            text,
            "\nbad ({})\n{}\ngood\n{}",
            example.language.as_str(),
            indent(example.bad),
            indent(example.good)
        );
    }
    let _ = write!(
        text,
        "\nSuppress one place, with a reason, above or at the end of its line:\n    // stanchion:allow({}): why it is right here\n",
        rule.name
    );
    text
}

fn indent(text: &str) -> String {
    text.trim().lines().fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "    {line}");
        all
    })
}
