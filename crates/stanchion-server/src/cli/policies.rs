//! `policies`: what guards the calls to dependencies, asked of the running service: only it knows.

use clap::{Arg, ArgMatches, Command};
use http::{Method, StatusCode};
use serde_json::Value;

use super::running::{self, Answer, NoAnswer};
use super::say;
use crate::service::AdminSettings;
use crate::{Service, Stopped};

/// What an operator may do with a breaker, and what that is for.
const ACTS: [(&str, &str); 3] = [
    (
        "force-open",
        "Lets no call out until a reset: takes the dependency out",
    ),
    (
        "force-closed",
        "Lets every call out until a reset: the breaker is switched off",
    ),
    (
        "reset",
        "Closes the breaker with nothing counted; it works by itself again",
    ),
];

pub(super) fn command() -> Command {
    let name = || {
        Arg::new("name")
            .required(true)
            .value_name("MODULE/DEPENDENCY")
            .help("Whose breaker; the dependency alone where only one module has it")
    };
    let acts = ACTS.map(|(word, about)| Command::new(word).about(about).arg(name()));
    Command::new("policies")
        .about("Breakers, limits and budgets of the running service; force or reset a breaker")
        .subcommand(Command::new("list").about("All of them; also without a subcommand"))
        .subcommands(acts)
}

pub(super) async fn run(service: Service, given: &ArgMatches) -> Result<(), Stopped> {
    let Some(admin) = &service.admin else {
        return Err(Stopped::Usage(
            "this service has no admin port to ask it at".into(),
        ));
    };
    let data = asked(admin, Method::GET, &["debug", "policies"]).await?;
    let data = &data["data"];
    let acted = given
        .subcommand()
        .filter(|(word, _)| ACTS.iter().any(|(act, _)| act == word));
    let Some((act, given)) = acted else {
        return list(data);
    };
    let name = given.get_one::<String>("name").map_or("", String::as_str);
    let (module, dependency) = find(data, name)?;
    let path = ["debug", "policies", module, dependency, act];
    let policy = asked(admin, Method::POST, &path).await?;
    let state = text(&policy["breaker"], "state");
    say(format_args!("{module}/{dependency}: {state}"))
}

fn list(data: &Value) -> Result<(), Stopped> {
    let admission = &data["admission"];
    say(format_args!(
        "admission: limit {} of {}{}, {} running, {} queued",
        admission["limit"],
        admission["in_flight_max"],
        if admission["adaptive"] == true {
            ""
        } else {
            " (fixed)"
        },
        admission["running"],
        admission["queued"],
    ))?;
    for policy in policies(data) {
        say(format_args!(
            "{}/{}",
            text(policy, "module"),
            text(policy, "text")
        ))?;
    }
    Ok(())
}

/// Module and dependency of the one policy of that name.
fn find<'a>(data: &'a Value, name: &str) -> Result<(&'a str, &'a str), Stopped> {
    let all = policies(data).map(|policy| (text(policy, "module"), text(policy, "dependency")));
    let is_it = |(module, dependency): &(&str, &str)| {
        *dependency == name || format!("{module}/{dependency}") == name
    };
    let found: Vec<_> = all.clone().filter(is_it).collect();
    if let [only] = found.as_slice() {
        return Ok(*only);
    }
    let shown = |named: Vec<(&str, &str)>| {
        let names = named
            .iter()
            .map(|(module, name)| format!("{module}/{name}"));
        names.collect::<Vec<_>>().join(", ")
    };
    Err(Stopped::Usage(if found.is_empty() {
        format!(
            "there is no policy `{name}`; there are: {}",
            shown(all.collect())
        )
    } else {
        format!("which `{name}` is meant? {}", shown(found))
    }))
}

fn policies(data: &Value) -> impl Iterator<Item = &Value> + Clone {
    data["policies"].as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

async fn asked(admin: &AdminSettings, method: Method, path: &[&str]) -> Result<Value, Stopped> {
    let answer = running::ask(admin, method, path).await;
    let Answer { status, body } =
        answer.map_err(|(NoAnswer::Nobody(why) | NoAnswer::Failed(why))| Stopped::Failed(why))?;
    if status == StatusCode::OK {
        return Ok(body);
    }
    let why = body["error"].as_str().map(str::to_owned);
    Err(Stopped::Failed(why.unwrap_or_else(|| {
        format!("the service answered {status}")
    })))
}
