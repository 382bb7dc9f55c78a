//! The tools: a name, what it does, what it takes, what it gives, whether it writes; and a function.

mod growing;
mod records;
mod schemas;

use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(super) use schemas::all;

use super::judge;
use crate::decide::{self, Facts};
use crate::doctor::{Asked, examine};
use crate::root::Root;

const NAMES: [&str; 8] = [
    "review", "explain", "decide", "adr", "adr_new", "scaffold", "add", "doctor",
];

/// The longest that `doctor` waits for slow answers, so that no agent waits for ever.
const PATIENCE: Duration = Duration::from_secs(45);

pub(super) fn is_one(name: &str) -> bool {
    NAMES.contains(&name)
}

pub(super) fn call(root: &Root, name: &str, arguments: Value) -> anyhow::Result<Value> {
    match name {
        "review" => judge::reviewed(root, read(arguments)?),
        "explain" => judge::explained(&read(arguments)?),
        "decide" => decided(arguments),
        "adr" => records::looked(root, arguments),
        "adr_new" => records::recorded(root, arguments),
        "scaffold" => growing::scaffolded(root, arguments),
        "add" => growing::added(root, arguments),
        "doctor" => examined(arguments),
        other => bail!("there is no tool `{other}`"),
    }
}

fn read<T: DeserializeOwned>(arguments: Value) -> anyhow::Result<T> {
    serde_json::from_value(arguments).context("the arguments are not what the schema says")
}

fn decided(arguments: Value) -> anyhow::Result<Value> {
    let facts: Facts = read(arguments)?;
    Ok(serde_json::to_value(decide::decide(&facts)?)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Doctor {
    url: String,
    admin: Option<String>,
    path: Option<String>,
}

/// This machine only, and no process is stopped: an agent is not asked to.
fn examined(arguments: Value) -> anyhow::Result<Value> {
    let asked: Doctor = read(arguments)?;
    let points = examine(&Asked {
        url: asked.url,
        admin: asked.admin,
        admin_token: None,
        path: asked.path.unwrap_or_else(|| "/".into()),
        anywhere: false,
        metrics: Vec::new(),
        stop: None,
        patience: PATIENCE,
        roots: None,
    })?;
    Ok(json!({ "points": points }))
}
