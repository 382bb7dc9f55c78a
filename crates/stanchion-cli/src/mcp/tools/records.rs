//! `adr` and `adr_new`.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::read;
use crate::adr::{self, Draft, GraphForm};
use crate::commands::adr::today;
use crate::root::Root;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Look {
    action: String,
    number: Option<u32>,
    folder: Option<String>,
}

pub(super) fn looked(root: &Root, arguments: Value) -> anyhow::Result<Value> {
    let look: Look = read(arguments)?;
    let folder = adr::folder(root, look.folder.as_deref().map(Path::new));
    let records = adr::load(root, &folder)?;
    match look.action.as_str() {
        "list" => Ok(json!({ "records": records })),
        "check" => Ok(json!({ "findings": adr::check(root, &folder, &records) })),
        "graph" => Ok(json!({ "text": adr::draw(&records, GraphForm::Mermaid) })),
        "show" => {
            let number = look.number.context("`show` needs `number`")?;
            let record = records.iter().find(|record| record.number == number);
            let record = record.with_context(|| format!("there is no record {number:04}"))?;
            Ok(json!({ "record": record, "text": record.text }))
        }
        other => bail!("there is no action `{other}`"),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Record {
    title: String,
    status: String,
    context: String,
    decision: String,
    positive: Vec<String>,
    negative: Vec<String>,
    alternatives: Vec<String>,
    code: Vec<String>,
    supersedes: Option<u32>,
    folder: Option<String>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            title: String::new(),
            status: "proposed".into(),
            context: String::new(),
            decision: String::new(),
            positive: Vec::new(),
            negative: Vec::new(),
            alternatives: Vec::new(),
            code: Vec::new(),
            supersedes: None,
            folder: None,
        }
    }
}

pub(super) fn recorded(root: &Root, arguments: Value) -> anyhow::Result<Value> {
    let record: Record = read(arguments)?;
    let statuses = ["proposed", "accepted", "rejected", "deprecated"];
    ensure!(
        statuses.contains(&record.status.as_str()),
        "status is one of {}",
        statuses.join(", ")
    );
    let folder = adr::folder(root, record.folder.as_deref().map(Path::new));
    let records = adr::load(root, &folder)?;
    let old = record.supersedes.map(|number| {
        let old = records.iter().find(|old| old.number == number);
        old.with_context(|| format!("there is no record {number:04}"))
    });
    let old = old.transpose()?;
    let draft = Draft {
        title: record.title,
        status: record.status,
        date: today(),
        context: record.context,
        decision: record.decision,
        positive: record.positive,
        negative: record.negative,
        alternatives: record.alternatives,
        code: record.code,
        form: None,
    };
    let file = match old {
        Some(old) => adr::supersede(root, &folder, &draft, old)?,
        None => adr::create(root, &folder, &draft, None)?,
    };
    Ok(json!({ "file": file }))
}
