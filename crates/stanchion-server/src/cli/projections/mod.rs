//! `projections`, also `log projections`: how they are, and what an operator does with one.
//!
//! The service that runs them is asked through its admin port. Where none answers, or one over other logs, it is done
//! on the stores from here: an embedded one can only be looked at and verified then, it belongs to its service.

mod act;
mod told;

use std::sync::Arc;

use clap::{Arg, ArgMatches, Command};
use serde_json::Value;
use stanchion_eventsourcing::{LogId, OperatedProjection};

use self::act::Act;
use self::told::Told;
use super::say;
use crate::{Service, Stopped};

/// A projection of this service.
struct Known<'a> {
    module: &'static str,
    log: Option<LogId>,
    projection: &'a Arc<dyn OperatedProjection>,
}

pub(super) fn command() -> Command {
    let name = || {
        Arg::new("name")
            .required(true)
            .value_name("NAME")
            .help("The projection, or MODULE/NAME where several modules have one of that name")
    };
    let acts = Act::ALL.map(|act| Command::new(act.word()).about(act.about()).arg(name()));
    Command::new("projections")
        .about("Tables made of the event logs: how they are, pause, rebuild, verify")
        .subcommand(
            Command::new("list")
                .visible_alias("status")
                .about("One line a projection; also without a subcommand"),
        )
        .subcommands(acts)
}

pub(super) async fn run(service: Service, given: &ArgMatches) -> Result<(), Stopped> {
    let asked = given
        .subcommand()
        .and_then(|(word, given)| Some((Act::of(word)?, given)));
    let Some((act, given)) = asked else {
        return list(&service).await;
    };
    let name = given.get_one::<String>("name").map_or("", String::as_str);
    let known = find(&service, name)?;
    let told = Told::by(&service).await?;
    act.on(&known, &told).await
}

async fn list(service: &Service) -> Result<(), Stopped> {
    let told = Told::by(service).await?;
    for known in all(service) {
        let row = match told.row(&known) {
            Some(row) => row.clone(),
            None => known.row().await,
        };
        say(format_args!("{:32} {}", known.to_string(), line(&row)))?;
    }
    if let Told::Nobody(why) = told {
        // Beside the list, which programs may read.
        eprintln!("{why}; this is what the stores say");
    }
    Ok(())
}

/// What there is to say of a projection, in one line.
fn line(row: &Value) -> String {
    if let Some(error) = row["error"].as_str() {
        return format!("unknown: {error}");
    }
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    let number = |name: &str| row[name].as_i64().unwrap_or_default();
    let mut line = format!(
        "{:12} position {} head {} lag {} ({} s) parked {}",
        text("state"),
        number("position"),
        number("head"),
        number("lag"),
        number("lag_seconds"),
        number("parked"),
    );
    if number("parked") > 0 {
        line += &format!(" (for {} s)", number("parked_seconds"));
    }
    if let Some(reason) = row["parked_reason"].as_str() {
        line += &format!(" not tried: {reason}");
    }
    if let Some(rebuild) = row.get("rebuild") {
        line += &format!(" rebuild at {}", rebuild["position"]);
        line += rebuild["reason"]
            .as_str()
            .map(|reason| format!(" ({reason})"))
            .unwrap_or_default()
            .as_str();
    }
    if let Some(work) = row.get("work") {
        let word = |name: &str| work[name].as_str().unwrap_or_default();
        line += &format!(" last {}: {}", word("kind"), word("state"));
    }
    if let Some(reason) = row["reason"].as_str() {
        line += &format!(" {reason}");
    }
    line
}

impl Known<'_> {
    /// What the store says, in the words of the admin port.
    async fn row(&self) -> Value {
        match self.projection.status().await {
            Ok(status) => serde_json::json!(status),
            Err(error) => serde_json::json!({"error": error}),
        }
    }
}

impl std::fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.module, self.projection.name())
    }
}

fn all(service: &Service) -> impl Iterator<Item = Known<'_>> {
    service.modules.iter().flat_map(|module| {
        module.projections.iter().map(|projection| Known {
            module: module.name,
            log: module.log.as_ref().map(|log| log.id()),
            projection,
        })
    })
}

/// The one projection that is called this.
fn find<'a>(service: &'a Service, name: &str) -> Result<Known<'a>, Stopped> {
    let is_called =
        |known: &Known<'_>| known.projection.name() == name || known.to_string() == name;
    let mut found: Vec<_> = all(service).filter(is_called).collect();
    let names = |known: Vec<Known<'_>>| {
        let names: Vec<_> = known.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    match (found.pop(), found.is_empty()) {
        (Some(known), true) => Ok(known),
        (None, _) => Err(Stopped::Usage(format!(
            "there is no projection `{name}`; there are: {}",
            names(all(service).collect())
        ))),
        (Some(last), false) => {
            found.push(last);
            let names = names(found);
            Err(Stopped::Usage(format!("which `{name}` is meant? {names}")))
        }
    }
}
