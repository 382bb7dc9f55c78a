//! `scaffold` and `add`.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::read;
use crate::commands::adr::today;
use crate::root::Root;
use crate::scaffold::{Growth, Names, Plan, Source, Style, Whereto, grow, service};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scaffold {
    name: String,
    style: Option<Style>,
    context: Option<String>,
    thing: Option<String>,
    into: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

pub(super) fn scaffolded(root: &Root, arguments: Value) -> anyhow::Result<Value> {
    let asked: Scaffold = read(arguments)?;
    let names = Names::new(
        &asked.name,
        asked.context.as_deref(),
        asked.thing.as_deref(),
    )?;
    let source = Source::own()?;
    let folder = Path::new(asked.into.as_deref().unwrap_or_default()).join(&names.service);
    ensure!(
        !root.resolve(&folder)?.exists(),
        "{} is there already, and nothing is overwritten",
        folder.display()
    );
    let files = service(
        &names,
        asked.style.unwrap_or(Style::EventSourced),
        &source,
        &today(),
    );
    let files = files
        .into_iter()
        .map(|(path, text)| (folder.join(path), text))
        .collect();
    let plan = Plan {
        files,
        ..Plan::default()
    };
    let mut made = carried_out(root, &plan, asked.dry_run)?;
    made["stanchion"] = source.told().into();
    Ok(made)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    what: String,
    name: String,
    service: Option<String>,
    to: Option<String>,
    of: Option<String>,
    thing: Option<String>,
    style: Option<Style>,
    event: Option<String>,
    contract: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

pub(super) fn added(root: &Root, arguments: Value) -> anyhow::Result<Value> {
    let asked: Add = read(arguments)?;
    let folder = root.resolve(Path::new(asked.service.as_deref().unwrap_or_default()))?;
    let inside = Root::open(&folder)?;
    let name = asked.name;
    let growth = match asked.what.as_str() {
        "context" => Growth::Context {
            name,
            thing: asked.thing,
            style: asked.style.unwrap_or(Style::EventSourced),
        },
        "aggregate" => Growth::Aggregate { name },
        "use-case" => Growth::UseCase {
            name,
            event: asked.event,
        },
        "projection" => Growth::Projection { name },
        "consumer" => Growth::Consumer {
            name,
            contract: asked.contract.context("a consumer needs `contract`")?,
        },
        "migration" => Growth::Migration { name },
        other => bail!("there is no `{other}` to add"),
    };
    let to = Whereto {
        context: asked.to.as_deref(),
        thing: asked.of.as_deref(),
    };
    let plan = grow(&inside, to, &growth)?;
    carried_out(&inside, &plan, asked.dry_run)
}

fn carried_out(root: &Root, plan: &Plan, dry_run: bool) -> anyhow::Result<Value> {
    if dry_run {
        plan.check(root)?;
    } else {
        plan.carry_out(root)?;
    }
    let files: Vec<_> = plan.files.iter().map(|(path, _)| path).collect();
    Ok(json!({ "made": !dry_run, "files": files, "told": plan.told() }))
}
