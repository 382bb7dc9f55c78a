//! `processes`: the instances of processes, and what an operator does with one.
//!
//! It is done on the store from here; where that belongs to the service that has it open, the service is asked through
//! its admin port.

use std::sync::Arc;

use clap::builder::{StringValueParser, TypedValueParser};
use clap::{Arg, ArgMatches, Command};
use http::{Method, StatusCode};
use serde_json::json;
use stanchion_eventsourcing::{
    InstanceFilter, InstanceShown, InstanceState, NotDone, OperatedProcess,
};

use super::running::{self, NoAnswer};
use super::say;
use crate::{Module, Service, Stopped};

/// Instances of one process listed in one go.
const LIMIT: usize = 1_000;

pub(super) fn command() -> Command {
    let one = |name: &'static str, about: &'static str| {
        Command::new(name).about(about).arg(id()).arg(process())
    };
    Command::new("processes")
        .about("Instances of process managers: how they are, pause, resume, restart")
        .subcommand_required(true)
        .subcommand(
            Command::new("list")
                .about("One line an instance that has not ended, those that nothing happened to for longest first")
                .arg(process())
                .arg(state()),
        )
        .subcommand(one("show", "An instance whole, ended or not, with its history, as JSON"))
        .subcommand(
            one("pause", "Has an instance stand still: its messages wait, its timers stop")
                .arg(Arg::new("reason").long("reason").value_name("TEXT").help("Why, for who looks at it later")),
        )
        .subcommand(one("resume", "Has it go on where it stood"))
        .subcommand(
            one("restart", "Asks for a step again, and goes on from there").arg(
                Arg::new("from")
                    .long("from")
                    .required(true)
                    .value_name("STEP")
                    .help("A step that it was at, or is at"),
            ),
        )
}

pub(super) async fn run(service: Service, given: &ArgMatches) -> Result<(), Stopped> {
    let known: Vec<_> = processes(&service, given)?;
    match given.subcommand() {
        Some(("list", given)) => list(&known, given).await,
        Some(("show", given)) => {
            let (_, shown) = find(&known, given).await?;
            say(format_args!("{:#}", json!(shown)))
        }
        Some((word, given)) => {
            let (known, shown) = find(&known, given).await?;
            let act = match word {
                "pause" => Act::Pause(text(given, "reason")),
                "resume" => Act::Resume,
                _ => Act::Restart(text(given, "from")),
            };
            act.on(&service, known, &shown.id).await
        }
        None => Ok(()),
    }
}

/// A process of this service.
struct Known<'a> {
    module: &'a Module,
    process: &'a Arc<dyn OperatedProcess>,
}

/// What is done with an instance.
enum Act<'a> {
    Pause(Option<&'a str>),
    Resume,
    Restart(Option<&'a str>),
}

impl Act<'_> {
    async fn on(&self, service: &Service, known: &Known<'_>, id: &str) -> Result<(), Stopped> {
        match self.in_store(known.process, id).await {
            Ok(()) => {}
            Err(NotDone::Unavailable(error)) => match &service.admin {
                None => return Err(Stopped::failed(error)),
                Some(admin) => {
                    let path = self.path(known, id);
                    let asked = running::ask(admin, Method::POST, &path).await;
                    told(asked).map_err(|why| {
                        Stopped::Failed(format!(
                            "it cannot be done: {why}; and without the service: {error}. Start the service, or give its admin.listen and admin.token"
                        ))
                    })?;
                }
            },
            Err(error) => return Err(Stopped::Failed(format!("{id}: {error}"))),
        }
        say(format_args!(
            "{}: {id} of {}",
            self.done(),
            known.process.name()
        ))
    }

    async fn in_store(&self, process: &Arc<dyn OperatedProcess>, id: &str) -> Result<(), NotDone> {
        match self {
            Self::Pause(reason) => process.pause(id, reason.unwrap_or("by an operator")).await,
            Self::Resume => process.resume(id).await,
            Self::Restart(step) => process.restart(id, step.unwrap_or_default()).await,
        }
    }

    /// The path on the admin port.
    fn path<'p>(&'p self, known: &'p Known<'_>, id: &'p str) -> Vec<&'p str> {
        let mut path = vec!["processes", known.module.name, known.process.name(), id];
        match self {
            Self::Pause(_) => path.push("pause"),
            Self::Resume => path.push("resume"),
            Self::Restart(step) => path.extend(["restart", step.unwrap_or_default()]),
        }
        path
    }

    fn done(&self) -> &'static str {
        match self {
            Self::Pause(_) => "paused",
            Self::Resume => "goes on",
            Self::Restart(_) => "restarted",
        }
    }
}

/// What the running service made of it.
fn told(asked: Result<running::Answer, NoAnswer>) -> Result<(), String> {
    let answer = asked.map_err(|(NoAnswer::Nobody(why) | NoAnswer::Failed(why))| why)?;
    match answer.status {
        status if status.is_success() => Ok(()),
        status => {
            let reason = answer.body["error"].as_str();
            Err(reason.map_or_else(|| refused(status), str::to_owned))
        }
    }
}

fn refused(status: StatusCode) -> String {
    format!("the service answered {status}")
}

async fn list(known: &[Known<'_>], given: &ArgMatches) -> Result<(), Stopped> {
    let filter = InstanceFilter {
        state: given.get_one::<InstanceState>("state").copied(),
        limit: LIMIT,
    };
    let (mut listed, mut more) = (0, false);
    for Known { process, .. } in known {
        let rows = process.list(&filter).await.map_err(Stopped::failed)?;
        more |= rows.len() == LIMIT;
        listed += rows.len();
        for row in rows {
            say(format_args!(
                "{} {:16} v{} {:12} {:20} since {} {}",
                row.id,
                row.process,
                row.definition,
                row.state.word(),
                row.step.as_deref().unwrap_or("-"),
                row.changed_at,
                row.reason.as_deref().unwrap_or_default(),
            ))?;
        }
    }
    // Beside the list, which programs may read.
    match listed {
        0 => eprintln!("no instance that has not ended"),
        _ if more => eprintln!("there are more: these are {LIMIT} of a process"),
        _ => {}
    }
    Ok(())
}

/// The instance with the id that was given, and the process it is of.
async fn find<'k, 's>(
    known: &'k [Known<'s>],
    given: &ArgMatches,
) -> Result<(&'k Known<'s>, InstanceShown), Stopped> {
    let id = text(given, "id").unwrap_or_default();
    let mut found = Vec::new();
    for known in known {
        let shown = known.process.show(id).await.map_err(Stopped::failed)?;
        found.extend(shown.map(|shown| (known, shown)));
    }
    match (found.pop(), found.is_empty()) {
        (Some(found), true) => Ok(found),
        (Some(_), false) => Err(Stopped::Usage(format!(
            "several processes have an instance {id}: say --process"
        ))),
        (None, _) => Err(Stopped::Failed(format!("there is no instance {id}"))),
    }
}

/// The processes that are meant: the one that was named, or all.
fn processes<'s>(service: &'s Service, given: &ArgMatches) -> Result<Vec<Known<'s>>, Stopped> {
    let all = || {
        service.modules.iter().flat_map(|module| {
            let processes = module.processes.iter();
            processes.map(move |process| Known { module, process })
        })
    };
    let named = given
        .subcommand()
        .and_then(|(_, given)| text(given, "process"));
    let Some(name) = named else {
        return Ok(all().collect());
    };
    let found: Vec<_> = all().filter(|known| known.process.name() == name).collect();
    if found.is_empty() {
        let names: Vec<_> = all().map(|known| known.process.name()).collect();
        return Err(Stopped::Usage(format!(
            "there is no process `{name}`; there are: {}",
            names.join(", ")
        )));
    }
    Ok(found)
}

fn text<'g>(given: &'g ArgMatches, name: &str) -> Option<&'g str> {
    given.get_one::<String>(name).map(String::as_str)
}

fn process() -> Arg {
    Arg::new("process")
        .long("process")
        .value_name("NAME")
        .help("Only of this process")
}

fn id() -> Arg {
    Arg::new("id")
        .required(true)
        .value_name("ID")
        .help("The instance's id")
}

fn state() -> Arg {
    Arg::new("state")
        .long("state")
        .value_name("STATE")
        .value_parser(StringValueParser::new().try_map(|word| {
            let states = [
                InstanceState::Running,
                InstanceState::Compensating,
                InstanceState::Paused,
            ];
            let state = states.into_iter().find(|state| state.word() == word);
            state.ok_or("running, compensating or paused")
        }))
        .help("Only those that are running, compensating or paused")
}
