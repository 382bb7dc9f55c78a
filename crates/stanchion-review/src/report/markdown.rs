//! For a pull request: short, folded, safe to paste.

use std::fmt::Write as _;

use crate::checklist::Verdict;
use crate::model::{Finding, Severity};
use crate::review::Review;
use crate::rules;

/// Findings in one comment; a longer comment is refused by the usual forges.
const FINDINGS_MAX: usize = 100;

/// The review as Markdown.
pub fn markdown(review: &Review) -> String {
    let count = |severity| {
        review
            .findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let mut text = format!(
        "## Architecture review\n\n**{} findings**: {} high, {} medium, {} low, in {} files.\n",
        review.findings.len(),
        count(Severity::High),
        count(Severity::Medium),
        count(Severity::Low),
        review.files
    );
    if !review.findings.is_empty() {
        text.push_str("\n| | where | what | mend |\n|---|---|---|---|\n");
    }
    for finding in review.findings.iter().take(FINDINGS_MAX) {
        row(&mut text, finding);
    }
    if review.findings.len() > FINDINGS_MAX {
        let _ = writeln!(
            text,
            "\n… and {} more.",
            review.findings.len() - FINDINGS_MAX
        );
    }
    text.push_str(
        "\n<details><summary>The checklist</summary>\n\n| point | verdict | |\n|---|---|---|\n",
    );
    for answer in &review.answers {
        let verdict = match answer.verdict {
            Verdict::Holds => "holds",
            Verdict::Weak => "weak",
            Verdict::Broken => "**broken**",
            Verdict::Unknown => "unknown",
            Verdict::NotAsked => "–",
        };
        let _ = writeln!(
            text,
            "| {} | {verdict} | {} |",
            answer.point.title(),
            cell(&answer.sentence)
        );
    }
    text.push_str("\n</details>\n");
    text
}

fn row(text: &mut String, finding: &Finding) {
    let mend = rules::by_name(finding.rule).map_or("", |rule| rule.mend);
    let _ = writeln!(
        text,
        "| {} | {} | {} ({}) {} | {} |",
        finding.severity.as_str(),
        code(&format!("{}:{}", finding.path, finding.line)),
        cell(&finding.message),
        finding.rule,
        code(&finding.snippet),
        cell(mend)
    );
}

/// Code in a cell; a backtick of the reviewed text cannot end it.
fn code(text: &str) -> String {
    format!("<code>{}</code>", cell(text))
}

/// Text in a cell: the reviewed repository writes no markup, mentions nobody and opens no column.
fn cell(text: &str) -> String {
    let mut all = String::new();
    for letter in text.chars() {
        match letter {
            '&' => all.push_str("&amp;"),
            '<' => all.push_str("&lt;"),
            '>' => all.push_str("&gt;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '@' | '#' | '!' | '\\' | '~' | '$' => {
                let _ = write!(all, "&#{};", letter as u32);
            }
            '\n' | '\r' => all.push(' '),
            _ => all.push(letter),
        }
    }
    all
}

/// Every rule as a page: what `stanchion explain --markdown` prints.
pub fn rules_markdown() -> String {
    let mut text = "# The rules of `stanchion review`\n\nMade by `stanchion explain --markdown`; `stanchion explain RULE` shows one with its examples.\n".to_owned();
    for point in crate::Point::ALL {
        let mut of_point = rules::all()
            .iter()
            .filter(|rule| rule.point == point)
            .peekable();
        if of_point.peek().is_none() {
            continue;
        }
        let _ = write!(
            text,
            "\n## {}\n\n| rule | languages | severity | confidence | what and why | mend |\n|---|---|---|---|---|---|\n",
            point.title()
        );
        for rule in of_point {
            let mut languages: Vec<&str> = rule
                .examples
                .iter()
                .map(|example| example.language.as_str())
                .collect();
            languages.dedup();
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} | {}. {} | {} |",
                rule.name,
                languages.join(", "),
                rule.severity.as_str(),
                rule.confidence.as_str(),
                cell(rule.title),
                cell(rule.why),
                cell(rule.mend)
            );
        }
    }
    text
}
