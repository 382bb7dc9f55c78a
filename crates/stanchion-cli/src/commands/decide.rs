use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write as _};
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command, FromArgMatches};

use super::adr::today;
use crate::adr;
use crate::decide::{Answer, Answers, Facts, decide, draft, facts_of, table, value};
use crate::outcome::{Outcome, Paint, print};
use crate::root::{Root, TEXT_BYTES_MAX};

/// How often a question is asked again before it is given up.
const ASKED_MAX: usize = 3;

/// Decide between patterns, with reasons: monolith or services, state or events, and what follows.
///
/// What is known comes from flags, from a file, or from questions when a terminal is there and neither is given. The rules are a
/// table (`--rules` prints it): no model, no network. What nobody said is assumed and named.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    known: Known,
    /// Facts from a TOML file, `team_size = 5` a line; flags win.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Write the decision as a record with this title.
    #[arg(long, value_name = "TITLE")]
    adr: Option<String>,
    /// The repository's root, where the record goes.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// The folder of the records, from the root.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// Print the table of rules and end.
    #[arg(long)]
    rules: bool,
    /// Ask nothing, assume the rest.
    #[arg(long)]
    no_questions: bool,
}

const EXAMPLES: &str = "\
Examples:
  stanchion decide                                   # asks
  stanchion decide --team-size 8 --money yes --audit full
  stanchion decide --file facts.toml --adr \"How payments is built\"
  stanchion decide --rules | less";

pub(crate) fn run(args: Args) -> anyhow::Result<Outcome> {
    if args.rules {
        print(include_str!("../decide/rules.toml"))?;
        return Ok(Outcome::Clean);
    }
    let mut facts = match &args.file {
        Some(file) => facts_of(&read(file)?)?,
        None => Facts::new(),
    };
    facts.extend(args.known.0);
    let asks = facts.is_empty()
        && !args.no_questions
        && io::stdin().is_terminal()
        && io::stderr().is_terminal();
    if asks {
        facts = ask()?;
    }
    let answers = decide(&facts)?;
    if args.json {
        print(&(serde_json::to_string_pretty(&answers)? + "\n"))?;
    } else {
        print(&told(&answers, Paint::stdout()))?;
    }
    if let Some(title) = &args.adr {
        let root = Root::open(&args.root)?;
        let folder = adr::folder(&root, args.folder.as_deref());
        let file = adr::create(&root, &folder, &draft(&answers, title, &today()), None)?;
        let _ = writeln!(io::stderr(), "wrote {}", file.display());
    }
    Ok(Outcome::Clean)
}

fn read(file: &Path) -> anyhow::Result<String> {
    use anyhow::Context;
    let shown = || file.display().to_string();
    let size = std::fs::metadata(file).with_context(shown)?.len();
    anyhow::ensure!(
        size <= TEXT_BYTES_MAX,
        "{} is larger than {TEXT_BYTES_MAX} bytes",
        file.display()
    );
    std::fs::read_to_string(file).with_context(shown)
}

/// Asks for each fact on stderr; an empty line takes what is in brackets.
fn ask() -> anyhow::Result<Facts> {
    let mut facts = Facts::new();
    let mut lines = io::stdin().lock().lines();
    let mut err = io::stderr();
    writeln!(
        err,
        "An empty line takes what stands in brackets; ^D takes all that is left.\n"
    )?;
    'facts: for fact in &table().facts {
        for _ in 0..ASKED_MAX {
            let words = fact
                .words
                .as_ref()
                .map_or_else(String::new, |words| format!(" {}", words.join("/")));
            write!(err, "{}{words} [{}] ", fact.asks, fact.assumed)?;
            err.flush()?;
            let Some(line) = lines.next().transpose()? else {
                writeln!(err)?;
                break 'facts;
            };
            if line.trim().is_empty() {
                continue 'facts;
            }
            match value(fact, &line) {
                Ok(value) => {
                    facts.insert(fact.id.clone(), value);
                    continue 'facts;
                }
                Err(error) => writeln!(err, "  {error}")?,
            }
        }
        anyhow::bail!("no answer to: {}", fact.asks);
    }
    Ok(facts)
}

fn told(answers: &Answers, paint: Paint) -> String {
    let mut text: String = answers
        .answers
        .iter()
        .map(|answer| one(answer, paint))
        .collect();
    if !answers.assumed.is_empty() {
        let assumed = answers
            .assumed
            .iter()
            .map(|(id, value)| format!("{id} = {value}"));
        let assumed = assumed.collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            text,
            "{} {assumed}",
            paint.yellow("Assumed, because nobody said:")
        );
    }
    text
}

fn one(answer: &Answer, paint: Paint) -> String {
    let mut text = format!("{}\n  {}\n", answer.question, paint.bold(&answer.name));
    let _ = writeln!(
        text,
        "  because  {}\n           {} [{}]",
        answer.because, answer.source, answer.rule
    );
    for also in &answer.also {
        let _ = writeln!(text, "      and  {also}");
    }
    for against in &answer.against {
        let _ = writeln!(text, "  against  {against}");
    }
    for change in &answer.would_change {
        let _ = writeln!(text, "  unless   {}: then {}", change.if_fact, change.then);
    }
    let _ = writeln!(text, "  measure  {}\n", answer.measure.join("; "));
    text
}

/// A flag for each fact of the table.
struct Known(Facts);

impl clap::Args for Known {
    fn augment_args(command: Command) -> Command {
        let flag = |id: &str| -> &'static str { id.replace('_', "-").leak() };
        table().facts.iter().fold(command, |command, fact| {
            let arg = Arg::new(fact.id.as_str())
                .long(flag(&fact.id))
                .help(fact.asks.as_str());
            let arg = arg.help_heading("Facts");
            command.arg(match &fact.words {
                Some(words) => arg
                    .value_name("WORD")
                    .value_parser(PossibleValuesParser::new(words.iter().map(String::as_str))),
                None => arg.value_name("NUMBER"),
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Known {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut facts = Facts::new();
        for fact in &table().facts {
            if let Some(text) = matches.get_one::<String>(&fact.id) {
                let wrong = |error: anyhow::Error| {
                    clap::Error::raw(
                        clap::error::ErrorKind::ValueValidation,
                        format!("{error}\n"),
                    )
                };
                facts.insert(fact.id.clone(), value(fact, text).map_err(wrong)?);
            }
        }
        Ok(Self(facts))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
