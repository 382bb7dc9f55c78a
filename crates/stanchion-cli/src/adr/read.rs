use std::path::PathBuf;

use super::{Record, Status};

/// Words of the short form, and what they are called in the full one.
const LEADS: [(&str, &str); 7] = [
    ("open", "Context"),
    ("context", "Context"),
    ("chosen", "Decision"),
    ("decision", "Decision"),
    ("costs", "Consequences"),
    ("consequences", "Consequences"),
    ("against it", "Alternatives considered"),
];

/// `7` of `0007-title.md`; none of a name that is no record's.
pub(super) fn number_of(name: &str) -> Option<u32> {
    let stem = name.strip_suffix(".md")?;
    let digits = stem
        .split_once(['-', '_'])
        .map_or(stem, |(digits, _)| digits);
    digits
        .parse()
        .ok()
        .filter(|_| digits.chars().all(|c| c.is_ascii_digit()))
}

pub(super) fn record(number: u32, file: PathBuf, text: String) -> Record {
    let mut status = String::new();
    let (mut date, mut supersedes) = (None, Vec::new());
    for (key, value) in headers(&text) {
        match key.as_str() {
            "status" if status.is_empty() => status = value.to_owned(),
            "date" => date = Some(value.to_owned()),
            "supersedes" => supersedes.extend(numbers(value)),
            _ => {}
        }
    }
    let superseded = status.to_lowercase().starts_with("superseded");
    let superseded_by = if superseded {
        numbers(&status)
    } else {
        Vec::new()
    };
    let mut mentions: Vec<u32> = links(&text)
        .into_iter()
        .filter_map(|link| number_of(name(&link.target)))
        .collect();
    mentions.sort_unstable();
    mentions.dedup();
    mentions.retain(|other| {
        *other != number && !supersedes.contains(other) && !superseded_by.contains(other)
    });
    Record {
        number,
        title: title(&text),
        status: status_of(&status),
        date,
        supersedes,
        superseded_by,
        mentions,
        parts: parts(&text),
        file,
        text,
    }
}

/// `Key: value` lines above the first part, and what stands below a `## Status` or `## Date` heading.
pub(super) fn headers(text: &str) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    let mut below: Option<String> = None;
    let mut above = true;
    for line in prose(text) {
        let line = line.1.trim();
        if let Some(heading) = line.strip_prefix("## ") {
            above = false;
            below = Some(heading.trim().to_lowercase());
        } else if line.starts_with("**") && above {
            above = false;
        } else if line.is_empty() || line.starts_with('#') {
        } else if above {
            let plain = line.trim_start_matches(['-', '*', ' ']);
            if let Some((key, value)) = plain.split_once(':') {
                found.push((key.trim().to_lowercase(), value.trim()));
            }
        } else if let Some(key) = below.take().filter(|key| key == "status" || key == "date") {
            found.push((key, line));
        }
    }
    found
}

fn status_of(text: &str) -> Status {
    let word: String = text.chars().take_while(|c| c.is_alphabetic()).collect();
    match word.to_lowercase().as_str() {
        "" | "accepted" => Status::Accepted,
        "proposed" | "draft" => Status::Proposed,
        "rejected" => Status::Rejected,
        "deprecated" => Status::Deprecated,
        "superseded" => Status::Superseded,
        _ => Status::Unknown(text.to_owned()),
    }
}

fn title(text: &str) -> String {
    let heading = text.lines().find_map(|line| line.strip_prefix("# "));
    let heading = heading.unwrap_or_default().trim();
    let plain = heading
        .strip_prefix("ADR")
        .map_or(heading, |rest| rest.trim_start_matches(['-', ' ']));
    let plain = plain.trim_start_matches(|c: char| c.is_ascii_digit());
    plain
        .trim_start_matches([' ', '.', ':', '-', '–'])
        .to_owned()
}

fn parts(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for (_, line) in prose(text) {
        let heading = line.trim_start_matches('#');
        let named = if heading.len() < line.len() && line.starts_with("##") {
            heading.trim().to_owned()
        } else {
            let Some((lead, _)) = line
                .strip_prefix("**")
                .and_then(|rest| rest.split_once("**"))
            else {
                continue;
            };
            let lead = lead.trim_end_matches(['.', ':']).to_lowercase();
            let Some((_, full)) = LEADS.iter().find(|(short, _)| *short == lead) else {
                continue;
            };
            (*full).to_owned()
        };
        if !parts.contains(&named) {
            parts.push(named);
        }
    }
    parts
}

/// A link to a file, with the line it stands in.
pub(super) struct Link {
    pub(super) line: usize,
    pub(super) target: String,
}

/// Links of the form `[text](target)`, outside of code; those into the web and within the page left out.
pub(super) fn links(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    for (line, content) in prose(text) {
        let plain = without_code(content);
        let mut rest = plain.as_str();
        while let Some((_, after)) = rest.split_once("](") {
            let Some((target, left)) = after.split_once(')') else {
                break;
            };
            let target = target.split(['#', ' ']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                links.push(Link {
                    line,
                    target: target.to_owned(),
                });
            }
            rest = left;
        }
    }
    links
}

/// Code in backticks, with the line it stands in.
pub(super) fn code(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, content) in prose(text) {
        let inside = content.split('`').skip(1).step_by(2);
        found.extend(inside.map(|code| (line, code.to_owned())));
    }
    found
}

/// Lines outside of fenced code, counted from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    let numbered = text.lines().enumerate();
    numbered.filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((index + 1, line))
    })
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// Record numbers that a line names: by link, or as `0016`, `ADR 16`, `#16`.
fn numbers(line: &str) -> Vec<u32> {
    let mut found: Vec<u32> = links(line)
        .iter()
        .filter_map(|link| number_of(name(&link.target)))
        .collect();
    if found.is_empty() {
        let words = line.split(|c: char| !c.is_ascii_digit());
        found.extend(
            words
                .filter(|word| (1..=4).contains(&word.len()))
                .filter_map(|word| word.parse::<u32>().ok())
                .take(1),
        );
    }
    found
}

fn name(target: &str) -> &str {
    target.rsplit('/').next().unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Record {
        record(7, "docs/adr/0007-x.md".into(), text.into())
    }

    #[test]
    fn the_full_form_is_read_with_status_date_and_parts() {
        let full = read(
            "# 7. Use X\n\nStatus: superseded by [0009](0009-y.md)\nDate: 2026-01-02\n\n## Context\nc\n## Decision\nd\n",
        );
        assert_eq!(
            (full.title.as_str(), full.status),
            ("Use X", Status::Superseded)
        );
        assert_eq!(
            (full.superseded_by, full.date.as_deref()),
            (vec![9], Some("2026-01-02"))
        );
        assert_eq!(full.parts, ["Context", "Decision"]);
    }

    #[test]
    fn nygards_form_has_its_status_below_a_heading() {
        let nygard = read(
            "# 7. Use X\n\nDate: 2026-01-02\n\n## Status\n\nSuperseded by [9. Y](0009-y.md)\n\n## Context\nc\n",
        );
        assert_eq!(
            (nygard.status, nygard.superseded_by),
            (Status::Superseded, vec![9])
        );
    }

    #[test]
    fn the_short_form_counts_as_accepted_and_a_link_in_it_is_no_supersession() {
        let short = read(
            "# 0007 Use X\n\n**Open.** o\n\n**Chosen.** c\n\n**Costs.** k; replaces a part of [0003](0003-z.md).\n",
        );
        assert_eq!(
            (short.status, short.supersedes.len(), short.mentions),
            (Status::Accepted, 0, vec![3])
        );
        assert_eq!(short.parts, ["Context", "Decision", "Consequences"]);
    }

    #[test]
    fn code_is_no_link_and_fences_are_not_read() {
        let text = "`[a](gone.md)` [b](there.md#x)\n```\n[c](gone.md)\n```\n";
        let found = links(text);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].target.as_str()), (1, "there.md"));
    }
}
