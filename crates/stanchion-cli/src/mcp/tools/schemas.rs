//! What each tool takes and gives, as agents are told.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};

use crate::decide::table;

pub(in crate::mcp) fn all() -> Vec<Tool> {
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
            json!({ "made": made["made"], "files": made["files"], "told": made["told"], "stanchion": text("Where the service takes stanchion from, and what that asks for.") }),
            true,
        ),
        tool(
            "add",
            "WRITES a context, aggregate, use case, projection, consumer or migration into a service below the root. Never overwrites.",
            json!({ "what": { "enum": ["context", "aggregate", "use-case", "projection", "consumer", "migration"] }, "name": text("Its name."), "service": text("The service's folder, from the root; the root unless given."), "to": text("Which context; the first one unless given."), "of": text("For a use case or a projection: of which aggregate of the context; the first one unless given."), "thing": text("For a context: what it is about."), "style": styles, "event": text("For a use case: what has happened then."), "contract": text("For a consumer: `orders.order_placed.v1`."), "dry_run": dry }),
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
