//! The tools: a name, what it does, what it takes, what it gives, whether it writes; and a function.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::judge;
use crate::adr::{self, Draft, GraphForm};
use crate::commands::adr::today;
use crate::decide::{self, Facts, table};
use crate::doctor::{Asked, examine};
use crate::root::Root;
use crate::scaffold::{Growth, Names, Plan, Source, Style, grow, service};

const NAMES: [&str; 8] = [
    "review", "explain", "decide", "adr", "adr_new", "scaffold", "add", "doctor",
];

/// The longest that `doctor` waits for slow answers, so that no agent waits for ever.
const PATIENCE: Duration = Duration::from_secs(45);

pub(super) fn is_one(name: &str) -> bool {
    NAMES.contains(&name)
}

pub(super) fn all() -> Vec<Tool> {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let texts = |about: &str| json!({ "type": "array", "items": { "type": "string" }, "description": about });
    let dry = json!({ "type": "boolean", "default": false, "description": "Tell what would be made, and make nothing." });
    let styles = json!({ "enum": ["event-sourced", "state"], "default": "event-sourced" });
    let made = json!({ "made": { "type": "boolean" }, "files": texts("New files, from the root."), "told": text("Every file and every line.") });
    let mut tools = Vec::from(judging(&text));
    tools.extend([
        tool(
            "decide",
            "Recommend an architecture from facts, with reasons, books, what speaks against it, what would change it and what to measure. Facts that are not given are assumed and named.",
            facts(),
            &[],
            json!({ "given": {"type": "object"}, "assumed": {"type": "object"}, "answers": {"type": "array"} }),
            false,
        ),
        tool(
            "adr",
            "Look at the decision records below the root: list them, show one, check them, or draw how they hang together.",
            json!({ "action": { "enum": ["list", "show", "check", "graph"] }, "number": { "type": "integer", "minimum": 1, "description": "For `show`." }, "folder": text("The records' folder, from the root; found unless given.") }),
            &["action"],
            json!({ "records": {"type": "array"}, "record": {"type": "object"}, "text": text("The record, or the drawing."), "findings": {"type": "array"} }),
            false,
        ),
        tool(
            "adr_new",
            "WRITES a new decision record below the root, and its line in the index; with `supersedes` also the old one's status.",
            json!({ "title": text("What was decided, as a sentence."), "status": { "enum": ["proposed", "accepted", "rejected", "deprecated"], "default": "proposed" }, "context": text("What was open."), "decision": text("What is done."), "positive": texts("What gets better."), "negative": texts("What it costs."), "alternatives": texts("What else was possible, and why not."), "code": texts("Paths that follow from it, `src/x.rs#word`."), "supersedes": { "type": "integer", "minimum": 1 }, "folder": text("The records' folder, from the root.") }),
            &["title"],
            json!({ "file": text("The new record, from the root.") }),
            true,
        ),
        tool(
            "scaffold",
            "WRITES a new service on stanchion into a new folder below the root: sources, tests, container, manifests, CI, runbook.",
            json!({ "name": text("Lower case letters, digits, dashes."), "style": styles, "context": text("The first context, if not called as the service."), "thing": text("What it is about, one of them."), "into": text("In which folder below the root; the root unless given."), "dry_run": dry }),
            &["name"],
            made.clone(),
            true,
        ),
        tool(
            "add",
            "WRITES a context, use case, projection, consumer or migration into a service below the root. Never overwrites.",
            json!({ "what": { "enum": ["context", "use-case", "projection", "consumer", "migration"] }, "name": text("Its name."), "service": text("The service's folder, from the root; the root unless given."), "to": text("Which context; the first one unless given."), "thing": text("For a context: what it is about."), "style": styles, "event": text("For a use case: what has happened then."), "contract": text("For a consumer: `orders.order_placed.v1`."), "dry_run": dry }),
            &["what", "name"],
            made,
            true,
        ),
        tool(
            "doctor",
            "Ask a running service on this machine for the shipping checklist: health, metrics, headers, CORS, errors, limits, timeouts, OpenAPI.",
            json!({ "url": text("The public port, `http://127.0.0.1:8080`."), "admin": text("The operator's port, if it is another one."), "path": text("A path that is served.") }),
            &["url"],
            json!({ "points": {"type": "array"} }),
            false,
        ),
    ]);
    tools
}

/// What reads source.
fn judging(text: &impl Fn(&str) -> Value) -> [Tool; 2] {
    let levels = json!({ "enum": ["low", "medium", "high"], "default": "low" });
    [
        tool(
            "review",
            "Review the Rust and Go services below the root against the architect's checklist: findings, worst first, with the line and the mend, and a verdict a point with its evidence.",
            json!({ "folder": text("Which folder, from the root; the root unless given."), "diff": text("Only lines that differ from this revision of git."), "severity": levels, "confidence": levels, "only": { "type": "array", "items": { "type": "string" }, "description": "Only these rules." } }),
            &[],
            json!({ "review": {"type": "object"}, "text": text("The same as Markdown.") }),
            false,
        ),
        tool(
            "explain",
            "What a rule of the review is: why, with its source, a bad and a good example, how to mend. Without a name, all rules.",
            json!({ "rule": text("The rule's name.") }),
            &[],
            json!({ "text": text("The rule, or the list.") }),
            false,
        ),
    ]
}

fn tool(
    name: &'static str,
    about: &'static str,
    takes: Value,
    required: &[&str],
    gives: Value,
    writes: bool,
) -> Tool {
    let input = json!({ "type": "object", "properties": takes, "required": required, "additionalProperties": false });
    let output = json!({ "type": "object", "properties": gives });
    let hints = ToolAnnotations::new()
        .read_only(!writes)
        .destructive(false)
        .idempotent(!writes)
        .open_world(name == "doctor");
    Tool::new(name, about, object(input))
        .with_raw_output_schema(object(output))
        .with_annotations(hints)
}

fn object(value: Value) -> Arc<JsonObject> {
    match value {
        Value::Object(object) => Arc::new(object),
        _ => Arc::default(),
    }
}

/// A property for each fact of the table.
fn facts() -> Value {
    let properties = table().facts.iter().map(|fact| {
        let schema = match &fact.words {
            Some(words) => json!({ "enum": words, "description": fact.asks }),
            None => json!({ "type": "integer", "minimum": fact.least, "description": fact.asks }),
        };
        (fact.id.clone(), schema)
    });
    Value::Object(properties.collect())
}

pub(super) fn call(root: &Root, name: &str, arguments: Value) -> anyhow::Result<Value> {
    match name {
        "review" => judge::reviewed(root, read(arguments)?),
        "explain" => judge::explained(&read(arguments)?),
        "decide" => decided(arguments),
        "adr" => looked(root, arguments),
        "adr_new" => recorded(root, arguments),
        "scaffold" => scaffolded(root, arguments),
        "add" => added(root, arguments),
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
struct Look {
    action: String,
    number: Option<u32>,
    folder: Option<String>,
}

fn looked(root: &Root, arguments: Value) -> anyhow::Result<Value> {
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

fn recorded(root: &Root, arguments: Value) -> anyhow::Result<Value> {
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
    ensure!(
        !old.is_some_and(|old| old.status == adr::Status::Superseded),
        "that record is superseded already"
    );
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
    let file = adr::create(root, &folder, &draft, old)?;
    if let Some(old) = old {
        adr::supersede(root, old, &file)?;
    }
    Ok(json!({ "file": file }))
}

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

fn scaffolded(root: &Root, arguments: Value) -> anyhow::Result<Value> {
    let asked: Scaffold = read(arguments)?;
    let names = Names::new(
        &asked.name,
        asked.context.as_deref(),
        asked.thing.as_deref(),
    )?;
    let source = Source::Registry(env!("CARGO_PKG_VERSION").to_owned());
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
    carried_out(root, &plan, asked.dry_run)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    what: String,
    name: String,
    service: Option<String>,
    to: Option<String>,
    thing: Option<String>,
    style: Option<Style>,
    event: Option<String>,
    contract: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

fn added(root: &Root, arguments: Value) -> anyhow::Result<Value> {
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
    let plan = grow(&inside, asked.to.as_deref(), &growth)?;
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
