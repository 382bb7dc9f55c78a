use std::sync::Arc;

use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::json;
use stanchion_eventsourcing::{EventLog, Filter, Position};

use super::{projections, say};
use crate::{Service, Stopped};

/// Entries read at once.
const PAGE: usize = 500;

pub(super) fn command() -> Command {
    let module = Arg::new("module")
        .required(true)
        .help("The module whose log it is");
    let after = Arg::new("after")
        .long("after")
        .value_name("POSITION")
        .value_parser(value_parser!(i64));
    let limit = Arg::new("limit")
        .long("limit")
        .value_name("N")
        .value_parser(value_parser!(usize));
    let category = Arg::new("category").long("category").value_name("NAME");
    let stream = Arg::new("stream").long("stream").value_name("ID");
    Command::new("log")
        .about("Looks into the event logs, and after what is made of them")
        .subcommand_required(true)
        .subcommand(Command::new("status").about("Each module's log and its head"))
        .subcommand(projections::command().about("The same as the command `projections`"))
        .subcommand(
            Command::new("show")
                .about("Entries as JSON, one a line")
                .arg(module)
                .arg(
                    after
                        .default_value("0")
                        .help("Only entries after this position"),
                )
                .arg(limit.default_value("100").help("At most so many"))
                .arg(category.help("Only streams of this category"))
                .arg(stream.help("Only the stream with this id")),
        )
}

pub(super) async fn run(service: Service, given: &ArgMatches) -> Result<(), Stopped> {
    match given.subcommand() {
        Some(("show", given)) => show(&service, given).await,
        Some(("projections", given)) => projections::run(service, given).await,
        _ => status(&service).await,
    }
}

async fn status(service: &Service) -> Result<(), Stopped> {
    for module in &service.modules {
        if let Some(log) = &module.log {
            let head = log.head().await.map_err(Stopped::failed)?;
            say(format_args!(
                "{:12} log {} head {head}",
                module.name,
                log.id()
            ))?;
        }
    }
    Ok(())
}

async fn show(service: &Service, given: &ArgMatches) -> Result<(), Stopped> {
    let name = given.get_one::<String>("module").map_or("", String::as_str);
    let log = log_of(service, name)?;
    let filter = given
        .get_one::<String>("category")
        .map_or_else(Filter::all, Filter::category);
    let stream = given.get_one::<String>("stream");
    let mut after = Position(given.get_one("after").copied().unwrap_or_default());
    let mut left = given.get_one::<usize>("limit").copied().unwrap_or_default();
    while left > 0 {
        let entries = log
            .read(after, &filter, PAGE)
            .await
            .map_err(Stopped::failed)?;
        let Some(last) = entries.last() else { break };
        after = last.position;
        let wanted = entries
            .iter()
            .filter(|entry| stream.is_none_or(|id| entry.stream.id() == id));
        for entry in wanted.take(left) {
            left -= 1;
            let line = json!({
                "position": entry.position, "stream": entry.stream.to_string(), "version": entry.version.0,
                "type": entry.kind, "id": entry.id, "at": entry.at, "data": entry.data, "metadata": entry.metadata,
            });
            say(line)?;
        }
    }
    Ok(())
}

pub(super) fn log_of(service: &Service, name: &str) -> Result<Arc<dyn EventLog>, Stopped> {
    let with_log = service.modules.iter().filter(|module| module.log.is_some());
    let names: Vec<&str> = with_log.map(|module| module.name).collect();
    let found = service.modules.iter().find(|module| module.name == name);
    found.and_then(|module| module.log.clone()).ok_or_else(|| {
        Stopped::Usage(format!(
            "no module `{name}` with an event log is part of this service; there are: {}",
            names.join(", ")
        ))
    })
}
