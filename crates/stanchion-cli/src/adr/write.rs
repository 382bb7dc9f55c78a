use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::{Record, Status, load};
use crate::root::Root;

/// How a new record looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// Headings: Context, Decision, Consequences, Alternatives considered.
    Full,
    /// Three paragraphs: Open, Chosen, Costs.
    Short,
}

/// What a new record says; what is empty is left for its author, with a hint.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    pub(crate) title: String,
    /// `proposed` unless said otherwise.
    pub(crate) status: String,
    /// `2026-11-22`.
    pub(crate) date: String,
    pub(crate) context: String,
    pub(crate) decision: String,
    pub(crate) positive: Vec<String>,
    pub(crate) negative: Vec<String>,
    pub(crate) alternatives: Vec<String>,
    /// Paths of the code that follows from it.
    pub(crate) code: Vec<String>,
    /// None: as the newest record of the folder.
    pub(crate) form: Option<Form>,
}

/// Writes a record with the next number, and its line into the folder's index if that has one.
pub(crate) fn create(
    root: &Root,
    folder: &Path,
    draft: &Draft,
    supersedes: Option<&Record>,
) -> anyhow::Result<PathBuf> {
    let title = draft.title.trim();
    ensure!(
        !title.is_empty() && !title.contains('\n'),
        "a decision needs a title of one line"
    );
    let records = load(root, folder)?;
    let next = records
        .last()
        .map_or(Some(1), |last| last.number.checked_add(1));
    let number = next.context("there is no number after the last record's")?;
    let slug = slug(title);
    ensure!(!slug.is_empty(), "a title needs letters or digits");
    let name = format!("{number:04}-{slug}.md");
    let form = draft.form.unwrap_or_else(|| form_of(records.last()));
    let file = folder.join(&name);
    root.create(&file, &text(number, draft, form, supersedes))?;
    to_index(root, folder, number, &name, title)?;
    Ok(file)
}

/// Writes a record that takes the place of `old`, and says so in both; what was decided stays as it was written.
pub(crate) fn supersede(
    root: &Root,
    folder: &Path,
    draft: &Draft,
    old: &Record,
) -> anyhow::Result<PathBuf> {
    ensure!(
        old.status != Status::Superseded,
        "{} is superseded already",
        old.padded()
    );
    // Before anything is written: an old record that cannot be marked must not have a successor.
    let marked = |number: &str, name: &str| marked(&old.text, number, name);
    marked("0000", "0000-x.md").with_context(|| old.file.display().to_string())?;
    let file = create(root, folder, draft, Some(old))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let number = name.split('-').next().unwrap_or_default();
    root.replace(&old.file, &marked(number, &name)?)?;
    Ok(file)
}

/// A record's text with the status `superseded by` that one.
fn marked(text: &str, number: &str, name: &str) -> anyhow::Result<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // Below the first part stands what was decided: a line that begins like a status there is somebody's sentence.
    let is_part = |line: &String| line.starts_with("## ") || line.trim_start().starts_with("**");
    let head = lines.iter().position(is_part).unwrap_or(lines.len());
    let plain = lines[..head].iter().position(|line| {
        let words = line.trim_start_matches(['-', '*', ' ']).to_lowercase();
        words.starts_with("status:")
    });
    let heading = lines
        .iter()
        .position(|line| line.trim().eq_ignore_ascii_case("## status"));
    let below =
        heading.and_then(|at| (at + 1..lines.len()).find(|line| !lines[*line].trim().is_empty()));
    if let Some(at) = plain {
        lines[at] = format!("Status: superseded by [{number}]({name})");
    } else if let Some(at) = below {
        lines[at] = format!("Superseded by [{number}]({name})");
    } else {
        let title = lines.iter().position(|line| line.starts_with("# "));
        let after = title.context("it has no title")? + 1;
        lines.insert(after, format!("\nStatus: superseded by [{number}]({name})"));
    }
    Ok(lines.join("\n") + "\n")
}

fn form_of(newest: Option<&Record>) -> Form {
    let short = newest.is_some_and(|record| record.text.contains("**Chosen.**"));
    if short { Form::Short } else { Form::Full }
}

fn text(number: u32, draft: &Draft, form: Form, supersedes: Option<&Record>) -> String {
    let mut head = format!(
        "# {number:04} {}\n\nStatus: {}\nDate: {}\n",
        draft.title.trim(),
        draft.status,
        draft.date
    );
    if let Some(old) = supersedes {
        head += &format!("Supersedes: [{}]({})\n", old.padded(), old.name());
    }
    if !draft.code.is_empty() {
        head += &format!("Code: {}\n", draft.code.join(", "));
    }
    let context = or(
        &draft.context,
        "What was open, what forced a choice, which numbers were known.",
    );
    let decision = or(&draft.decision, "What is done, in the present tense.");
    let body = match form {
        Form::Full => format!(
            "\n## Context\n\n{context}\n\n## Decision\n\n{decision}\n\n## Consequences\n\n### Positive\n\n{}\n\n### Negative\n\n{}\n\n## Alternatives considered\n\n{}\n",
            list(&draft.positive, "What gets better."),
            list(&draft.negative, "What it costs, and who pays."),
            list(
                &draft.alternatives,
                "What else was possible, and why it was not taken."
            ),
        ),
        Form::Short => {
            let costs = [&draft.positive[..], &draft.negative, &draft.alternatives].concat();
            let costs = if costs.len() > 1 {
                format!("\n\n{}", list(&costs, ""))
            } else {
                format!(
                    " {}",
                    or(
                        &costs.concat(),
                        "What it costs, what it brings, what else was possible."
                    )
                )
            };
            format!("\n**Open.** {context}\n\n**Chosen.** {decision}\n\n**Costs.**{costs}\n")
        }
    };
    head + &body
}

fn or<'a>(text: &'a str, hint: &'a str) -> &'a str {
    let text = text.trim();
    if text.is_empty() { hint } else { text }
}

fn list(lines: &[String], hint: &str) -> String {
    if lines.is_empty() {
        return format!("- {hint}");
    }
    let lines = lines.iter().map(|line| format!("- {}", line.trim()));
    lines.collect::<Vec<_>>().join("\n")
}

/// A table or a list of links in `README.md` gets one more.
fn to_index(
    root: &Root,
    folder: &Path,
    number: u32,
    name: &str,
    title: &str,
) -> anyhow::Result<()> {
    let file = folder.join("README.md");
    if !root.exists(&file) {
        return Ok(());
    }
    let text = root.read(&file)?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let is_entry = |line: &String| {
        line.contains(".md)") && (line.starts_with('|') || line.trim_start().starts_with("- "))
    };
    let Some(last) = lines.iter().rposition(is_entry) else {
        return Ok(());
    };
    let entry = if lines[last].starts_with('|') {
        format!("| [{number:04}]({name}) | {title} |")
    } else {
        format!("- [{number:04} {title}]({name})")
    };
    lines.insert(last + 1, entry);
    root.replace(&file, &(lines.join("\n") + "\n"))
}

/// The longest name that a file gets of its title, in bytes.
const SLUG_BYTES_MAX: usize = 60;

fn slug(title: &str) -> String {
    let folded = title.to_lowercase();
    let words = folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    let mut slug = String::new();
    for word in words {
        if slug.len() + word.len() > SLUG_BYTES_MAX {
            // A single word that is too long is cut, or nothing would be left.
            if slug.is_empty() {
                slug.push_str(&word[..word.floor_char_boundary(SLUG_BYTES_MAX)]);
            }
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(word);
    }
    slug
}
