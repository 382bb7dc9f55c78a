use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;

use crate::adr::{self, Draft, Form, GraphForm, Record, Status};
use crate::outcome::{Outcome, Paint, plain, print};
use crate::root::Root;

/// Keep architecture decision records: numbered, dated, linked.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The repository's root: links and code references are looked up from here.
    #[arg(long, default_value = ".", global = true)]
    root: PathBuf,
    /// The folder of the records, from the root; `docs/adr` or another usual one unless given.
    #[arg(long, global = true)]
    folder: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

const EXAMPLES: &str = "\
Examples:
  stanchion adr new \"Orders keep events\" --status accepted --code src/orders.rs#Order
  stanchion adr list
  stanchion adr supersede 3 \"Orders keep rows\"
  stanchion adr check            # exit code 1 if something is wrong
  stanchion adr graph > docs/adr/graph.mmd";

#[derive(Subcommand)]
enum Action {
    /// Write a new record with the next number, and its line into the folder's README.md.
    New(New),
    /// List the records with their status.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print one record.
    Show {
        /// Its number.
        number: u32,
        /// As JSON, without its text.
        #[arg(long)]
        json: bool,
    },
    /// Write a record that takes the place of an older one, and say so in both.
    Supersede {
        /// The number of the one that was in force.
        old: u32,
        #[command(flatten)]
        new: New,
    },
    /// Find broken links, code that is gone, decisions superseded twice or on one side only.
    Check {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Draw which record took whose place and which mentions which.
    Graph {
        /// How.
        #[arg(long, value_enum, default_value = "mermaid")]
        format: GraphForm,
    },
}

/// What the new record says; what is left out is a hint for its author.
#[derive(clap::Args)]
struct New {
    /// What was decided, as a sentence.
    title: String,
    /// proposed, accepted, rejected or deprecated.
    #[arg(long, default_value = "proposed", value_parser = ["proposed", "accepted", "rejected", "deprecated"])]
    status: String,
    /// The day, if not today: 2026-11-22.
    #[arg(long)]
    date: Option<jiff::civil::Date>,
    /// What was open.
    #[arg(long, default_value = "")]
    context: String,
    /// What is done.
    #[arg(long, default_value = "")]
    decision: String,
    /// What gets better; may be given several times.
    #[arg(long)]
    positive: Vec<String>,
    /// What it costs; may be given several times.
    #[arg(long)]
    negative: Vec<String>,
    /// What else was possible and why it was not taken; may be given several times.
    #[arg(long)]
    alternative: Vec<String>,
    /// Code that follows from it, `src/x.rs` or `src/x.rs#word`: `check` says when it is gone.
    #[arg(long)]
    code: Vec<String>,
    /// full or short; as the newest record unless given.
    #[arg(long, value_enum)]
    form: Option<Form>,
}

impl From<New> for Draft {
    fn from(new: New) -> Self {
        Self {
            title: new.title,
            status: new.status,
            date: new.date.map_or_else(today, |date| date.to_string()),
            context: new.context,
            decision: new.decision,
            positive: new.positive,
            negative: new.negative,
            alternatives: new.alternative,
            code: new.code,
            form: new.form,
        }
    }
}

/// Today in UTC, as records have it.
pub(crate) fn today() -> String {
    let now = stanchion_runtime::clock::now();
    now.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

pub(crate) fn run(args: Args) -> anyhow::Result<Outcome> {
    let root = Root::open(&args.root)?;
    let folder = adr::folder(&root, args.folder.as_deref());
    // A misspelt folder has no records, and nothing would be wrong with them.
    anyhow::ensure!(
        args.folder.is_none() || matches!(args.action, Action::New(_)) || root.exists(&folder),
        "there is no folder {}",
        folder.display()
    );
    let records = adr::load(&root, &folder)?;
    match args.action {
        Action::New(new) => {
            let file = adr::create(&root, &folder, &new.into(), None)?;
            print(&format!("{}\n", file.display()))?;
        }
        Action::List { json: true } => print(&json(&records)?)?,
        Action::List { json: false } => print(&listed(&records, Paint::stdout()))?,
        Action::Show { number, json: true } => print(&json(find(&records, number)?)?)?,
        Action::Show { number, .. } => print(&find(&records, number)?.text)?,
        Action::Supersede { old, new } => {
            let old = find(&records, old)?;
            let file = adr::supersede(&root, &folder, &new.into(), old)?;
            print(&format!(
                "{}\n{}: superseded\n",
                file.display(),
                old.file.display()
            ))?;
        }
        Action::Check { json: as_json } => {
            let findings = adr::check(&root, &folder, &records);
            if as_json {
                print(&json(&findings)?)?;
            } else {
                print(&checked(&findings, records.len(), Paint::stdout()))?;
            }
            return Ok(Outcome::of(!findings.is_empty()));
        }
        Action::Graph { format } => print(&adr::draw(&records, format))?,
    }
    Ok(Outcome::Clean)
}

fn find(records: &[Record], number: u32) -> anyhow::Result<&Record> {
    let found = records.iter().find(|record| record.number == number);
    found.with_context(|| format!("there is no record {number:04}"))
}

fn json(value: &(impl serde::Serialize + ?Sized)) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn listed(records: &[Record], paint: Paint) -> String {
    if records.is_empty() {
        return "no records yet: `stanchion adr new TITLE` writes the first\n".into();
    }
    let line = |record: &Record| {
        let status = match &record.status {
            Status::Proposed => paint.yellow("proposed"),
            Status::Accepted => paint.green("accepted"),
            Status::Rejected => "rejected".into(),
            Status::Deprecated => "deprecated".into(),
            Status::Superseded => format!("superseded by {}", numbers(&record.superseded_by)),
            Status::Unknown(word) => paint.red(&plain(word)),
        };
        let date = plain(record.date.as_deref().unwrap_or("          "));
        format!(
            "{}  {date}  {}  ({status})\n",
            record.padded(),
            paint.bold(&plain(&record.title))
        )
    };
    records.iter().map(line).collect()
}

fn numbers(numbers: &[u32]) -> String {
    let padded = numbers.iter().map(|number| format!("{number:04}"));
    padded.collect::<Vec<_>>().join(", ")
}

fn checked(findings: &[adr::Finding], records: usize, paint: Paint) -> String {
    let line = |finding: &adr::Finding| {
        let place = format!("{}:{}", finding.file.display(), finding.line);
        format!("{} {}\n", paint.bold(&plain(&place)), plain(&finding.what))
    };
    let mut text: String = findings.iter().map(line).collect();
    text += &match findings.len() {
        0 => paint.green(&format!("{records} records, nothing wrong\n")),
        wrong => paint.red(&format!("{records} records, {wrong} findings\n")),
    };
    text
}
