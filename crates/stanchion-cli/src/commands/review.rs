//! `stanchion review`: reads a repository and answers the architect's checklist.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use stanchion_review::{
    Baseline, Confidence, Options, Review, Severity, changed_lines, layer_map, report, review,
    rule_by_name,
};

use crate::outcome::Outcome;

const EXAMPLES: &str = "\
Examples:
  stanchion review
  stanchion review ../service --fail-on high
  stanchion review --diff origin/main --format markdown
  stanchion review --format sarif --output review.sarif
  stanchion review --write-baseline review-baseline.json
  stanchion review --baseline review-baseline.json
  stanchion review --map layers.svg

Exit codes: 0 nothing found at or above --fail-on, 1 findings, 2 wrong usage or a failure.";

/// Review a repository of Rust and Go services against the architect's checklist
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The repository's root
    #[arg(default_value = ".")]
    path: PathBuf,
    /// How the review is written
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Write it to a file instead of the standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The least severity that makes the exit code 1
    #[arg(long, value_enum, default_value_t = Level::Low, value_name = "LEVEL")]
    fail_on: Level,
    /// Leave out findings that are less sure than this
    #[arg(long, value_enum, default_value_t = Level::Low, value_name = "LEVEL")]
    confidence: Level,
    /// Ask only this rule; may be given more than once
    #[arg(long, value_name = "RULE")]
    only: Vec<String>,
    /// Findings in lines that differ from this revision only
    #[arg(long, value_name = "REV")]
    diff: Option<String>,
    /// Leave out findings that this file knows
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write the findings as known to this file and end cleanly
    #[arg(long, value_name = "FILE", conflicts_with = "baseline")]
    write_baseline: Option<PathBuf>,
    /// Draw the layers from the imports to a file: `.svg`, or Mermaid for any other end
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Show every finding of every rule
    #[arg(long)]
    all: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Human,
    Json,
    Sarif,
    Markdown,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Level {
    Low,
    Medium,
    High,
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    if let Some(name) = args.only.iter().find(|name| rule_by_name(name).is_none()) {
        bail!("there is no rule `{name}`; `stanchion explain` lists them");
    }
    let baseline = args.baseline.as_deref().map(known).transpose()?;
    let changed = args
        .diff
        .as_deref()
        .map(|revision| changed_lines(&args.path, revision))
        .transpose()
        .map_err(anyhow::Error::msg)?;
    let options = Options::from_root(&args.path)?;
    if std::io::stderr().is_terminal() {
        eprintln!("reading {} …", args.path.display());
    }
    let mut done = review(&args.path, &options)
        .with_context(|| format!("{} cannot be reviewed", args.path.display()))?;
    if done.files == 0 {
        eprintln!(
            "there is nothing to review in {}: no Rust, Go, Dockerfile, Compose file or manifest",
            args.path.display()
        );
    }
    let sure = confidence(args.confidence);
    done.retain(|finding| {
        finding.confidence >= sure
            && (args.only.is_empty() || args.only.iter().any(|name| name == finding.rule))
    });
    if let Some(changed) = changed {
        done.retain(|finding| changed.touches(&finding.path, finding.line));
    }
    if let Some(path) = &args.map {
        draw(&done, path)?;
    }
    if let Some(path) = &args.write_baseline {
        write(path, &Baseline::of(&done.findings).to_text())?;
        eprintln!(
            "{} findings are known from now on: {}",
            done.findings.len(),
            path.display()
        );
        return Ok(Outcome::Clean);
    }
    if let Some(baseline) = baseline {
        done.retain_new(&baseline);
    }
    show(args, &done)?;
    let least = severity(args.fail_on);
    Ok(Outcome::of(
        done.findings
            .iter()
            .any(|finding| finding.severity >= least),
    ))
}

fn known(path: &Path) -> Result<Baseline> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the baseline {} cannot be read", path.display()))?;
    Baseline::parse(&text).with_context(|| format!("{} is no baseline", path.display()))
}

fn draw(done: &Review, path: &Path) -> Result<()> {
    let map = layer_map(done);
    let svg = path.extension().is_some_and(|extension| extension == "svg");
    write(path, &if svg { map.svg() } else { map.mermaid() })
}

fn show(args: &Args, done: &Review) -> Result<()> {
    let colour = args.output.is_none()
        && std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let text = match args.format {
        Format::Human => report::human(
            done,
            report::Human {
                colour,
                per_rule: if args.all { usize::MAX } else { 5 },
            },
        ),
        Format::Json => report::json(done)?,
        Format::Sarif => report::sarif(done)?,
        Format::Markdown => report::markdown(done),
    };
    match &args.output {
        Some(path) => write(path, &text),
        None => Ok(crate::outcome::print(&text)?),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

fn severity(level: Level) -> Severity {
    match level {
        Level::Low => Severity::Low,
        Level::Medium => Severity::Medium,
        Level::High => Severity::High,
    }
}

fn confidence(level: Level) -> Confidence {
    match level {
        Level::Low => Confidence::Low,
        Level::Medium => Confidence::Medium,
        Level::High => Confidence::High,
    }
}
