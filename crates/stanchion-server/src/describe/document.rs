//! The OpenAPI 3.1 document, assembled from what the operations' types say.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Map, Value, json};

use super::schema::close;
use super::{ReplyShape, Schemas};
use crate::extract::{TIMEOUT_HEADER, TIMEOUT_PATTERN};
use crate::{Access, Code, codes};

/// An operation as the document tells it.
#[derive(Debug)]
pub(crate) struct Documented {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) summary: &'static str,
    pub(crate) about: &'static str,
    pub(crate) tag: String,
    pub(crate) access: Access,
    pub(crate) parameters: Vec<Value>,
    pub(crate) body: Option<Value>,
    pub(crate) statuses: Vec<u16>,
    pub(crate) codes: Vec<Code>,
    pub(crate) reply: ReplyShape,
}

/// The whole document.
pub(crate) fn document(
    title: &str,
    version: &str,
    operations: &[Documented],
    mut schemas: Schemas,
) -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut tags = BTreeSet::new();
    for documented in operations {
        tags.insert(documented.tag.clone());
        let item = paths.entry(documented.path.clone()).or_default();
        item.insert(
            documented.method.as_str().to_lowercase(),
            documented.operation(),
        );
    }
    close_requests(operations, &mut schemas);
    schemas.named.extend(envelope_schemas());
    json!({
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "servers": [{"url": "/"}],
        "tags": tags.iter().map(|tag| json!({"name": tag})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas.named,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    })
}

impl Documented {
    fn operation(&self) -> Value {
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.summary,
            "tags": [self.tag],
            "responses": self.responses(),
        });
        let mut parameters = self.parameters.clone();
        parameters.push(json!({
            "name": "X-Request-Timeout", "in": "header", "required": false,
            "description": "The request's time, never above the operation's own.",
            "schema": {"type": "string", "pattern": TIMEOUT_PATTERN, "examples": ["2s"]},
        }));
        debug_assert!(TIMEOUT_HEADER.eq_ignore_ascii_case("X-Request-Timeout"));
        operation["parameters"] = Value::Array(parameters);
        if let Some(body) = &self.body {
            operation["requestBody"] = body.clone();
        }
        let about = self.description();
        if !about.is_empty() {
            operation["description"] = about.into();
        }
        operation["security"] = match self.access {
            Access::Public => json!([]),
            Access::Optional => json!([{}, {"bearer": []}]),
            Access::Authenticated => json!([{"bearer": []}]),
            Access::Permission(name) => json!([{"bearer": [name]}]),
        };
        operation
    }

    fn description(&self) -> String {
        let access = match self.access {
            Access::Permission(name) => format!("Needs the permission `{name}`."),
            _ => String::new(),
        };
        [self.about, &access]
            .iter()
            .filter(|part| !part.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join("\n\n")
    }

    fn responses(&self) -> Map<String, Value> {
        let mut responses = Map::new();
        for status in self.statuses.iter().filter(|status| **status < 400) {
            responses.insert(status.to_string(), self.success(*status));
        }
        let readable = self.method == Method::GET && matches!(self.reply, ReplyShape::One(_));
        if readable {
            let about = "It still has the version that If-None-Match names.";
            responses.insert(
                "304".into(),
                json!({"description": about, "headers": headers(&["ETag"])}),
            );
        }
        let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in &self.codes {
            by_status
                .entry(code.status().as_u16())
                .or_default()
                .push(*code);
        }
        for (status, codes) in by_status {
            responses.insert(status.to_string(), failure(status, &codes));
        }
        for status in self.statuses.iter().filter(|status| **status >= 400) {
            self.own_failure(*status, &mut responses);
        }
        responses
    }

    /// An error in the form of another standard, beside the service's own if it has that status too.
    fn own_failure(&self, status: u16, responses: &mut Map<String, Value>) {
        let ReplyShape::Verbatim {
            content_type,
            success,
            failure,
        } = &self.reply
        else {
            return;
        };
        let schema = failure.as_ref().unwrap_or(success);
        let response = responses.entry(status.to_string()).or_insert_with(|| {
            json!({"description": "Refused.", "headers": headers(&["X-Request-Id"]), "content": {}})
        });
        let content = &mut response["content"][*content_type]["schema"];
        let both = match content.take() {
            Value::Null => schema.clone(),
            ours => json!({"anyOf": [schema, ours]}),
        };
        *content = both;
    }

    fn success(&self, status: u16) -> Value {
        let envelope = |data: &Value, meta: &str| {
            json!({
                "type": "object",
                "required": ["data", "meta"],
                "properties": {"data": data, "meta": {"$ref": format!("#/components/schemas/{meta}")}},
            })
        };
        let (content_type, schema) = match &self.reply {
            ReplyShape::Nothing => {
                return json!({"description": "Done.", "headers": headers(&["X-Request-Id"])});
            }
            ReplyShape::One(data) => ("application/json", envelope(data, "Meta")),
            ReplyShape::Plain(data) => ("application/json", data.clone()),
            ReplyShape::Verbatim { .. } if (300..400).contains(&status) => {
                return json!({
                    "description": "It goes on where Location says.",
                    "headers": headers(&["X-Request-Id", "Location"]),
                });
            }
            ReplyShape::Verbatim {
                content_type,
                success,
                ..
            } => (*content_type, success.clone()),
            ReplyShape::Many(item) => {
                let items = json!({"type": "array", "items": item});
                ("application/json", envelope(&items, "ListMeta"))
            }
            ReplyShape::Events(data) => {
                let about = "Each event; its data is JSON in this form.";
                let data = json!({
                    "type": "string", "description": about,
                    "contentMediaType": "application/json", "contentSchema": data,
                });
                let text = json!({"type": "string"});
                let schema = json!({
                    "type": "object",
                    "properties": {"id": text, "event": text, "data": data},
                });
                ("text/event-stream", schema)
            }
        };
        let mut names = vec!["X-Request-Id"];
        if matches!(self.reply, ReplyShape::One(_)) {
            names.push("ETag");
        }
        if matches!(status, 201 | 202) {
            names.push("Location");
        }
        json!({
            "description": reason(status),
            "headers": headers(&names),
            "content": {content_type: {"schema": schema}},
        })
    }
}

/// The codes every described operation may answer with.
pub(crate) fn usual_codes(access: Access) -> Vec<Code> {
    let mut usual = vec![
        codes::INVALID_PARAMETER,
        codes::NOT_ACCEPTABLE,
        codes::RATE_LIMITED,
        codes::INTERNAL,
        codes::OVERLOADED,
        codes::UNAVAILABLE,
        codes::DEADLINE_EXCEEDED,
    ];
    match access {
        Access::Public => {}
        Access::Optional | Access::Authenticated => usual.push(codes::UNAUTHENTICATED),
        Access::Permission(_) => usual.extend([codes::UNAUTHENTICATED, codes::FORBIDDEN]),
    }
    usual
}

fn failure(status: u16, codes: &[Code]) -> Value {
    let examples: Map<_, _> = codes
        .iter()
        .map(|code| {
            let value = json!({
                "error": {"code": code.name(), "message": code.message()},
                "meta": {"request_id": "0199c7a1-8f0e-7000-8000-000000000000", "timestamp": "2026-01-01T00:00:00Z"},
            });
            (code.name().to_owned(), json!({"summary": code.message(), "value": value}))
        })
        .collect();
    let mut names = vec!["X-Request-Id"];
    match status {
        401 => names.push("WWW-Authenticate"),
        503 => names.push("Retry-After"),
        _ => {}
    }
    json!({
        "description": codes.iter().map(|code| format!("`{}`", code.name())).collect::<Vec<_>>().join(", "),
        "headers": headers(&names),
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Error"}, "examples": examples},
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
        },
    })
}

fn headers(names: &[&str]) -> Value {
    let about = |name: &str| match name {
        "ETag" => "The version, in quotes; for If-Match and If-None-Match.",
        "Location" => "Where it can be read.",
        "Retry-After" => "Seconds to wait before trying again.",
        "WWW-Authenticate" => "How to authenticate.",
        _ => "The request's id, as in the log.",
    };
    names
        .iter()
        .map(|name| {
            (
                (*name).to_owned(),
                json!({"description": about(name), "schema": {"type": "string"}}),
            )
        })
        .collect::<Map<_, _>>()
        .into()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "As asked.",
        201 => "Created; Location names it.",
        202 => "Accepted; Location names where it can be watched.",
        _ => "Done.",
    }
}

/// Requests refuse what they do not know, and the document says so; answers may grow.
fn close_requests(operations: &[Documented], schemas: &mut Schemas) {
    let mut open: Vec<String> = Vec::new();
    for body in operations
        .iter()
        .filter_map(|documented| documented.body.as_ref())
    {
        references(body, &mut open);
    }
    let mut closed = BTreeSet::new();
    while let Some(name) = open.pop() {
        let Some(schema) = schemas.named.get_mut(&name) else {
            continue;
        };
        if closed.insert(name) {
            close(schema);
            references(schema, &mut open);
        }
    }
}

fn references(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(Value::as_str) {
                names.push(name.trim_start_matches("#/components/schemas/").to_owned());
            }
            fields.values().for_each(|field| references(field, names));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, names)),
        _ => {}
    }
}

fn envelope_schemas() -> [(String, Value); 4] {
    let request_id = json!({"type": "string", "description": "Finds the request in the log."});
    let timestamp = json!({"type": "string", "format": "date-time"});
    let token = json!({
        "type": "string",
        "description": "Send it as Consistency-Token to a list of the same module to see this write there.",
    });
    let meta = json!({
        "type": "object",
        "required": ["request_id", "timestamp"],
        "properties": {"request_id": request_id, "timestamp": timestamp, "consistency_token": token},
    });
    let count = json!({"type": "integer", "minimum": 0});
    let list_meta = json!({
        "type": "object",
        "required": ["request_id", "timestamp", "limit", "next_cursor"],
        "properties": {
            "request_id": request_id, "timestamp": timestamp, "limit": count, "page": count,
            "total": count, "total_pages": count, "next_cursor": {"type": ["string", "null"]},
        },
    });
    let error = json!({
        "type": "object",
        "required": ["error", "meta"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": {"type": "string"}, "message": {"type": "string"}, "details": {"type": "object"},
                },
            },
            "meta": {"$ref": "#/components/schemas/Meta"},
        },
    });
    let problem = json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
            "detail": {"type": "string"}, "code": {"type": "string"}, "details": {"type": "object"},
            "meta": {"$ref": "#/components/schemas/Meta"},
        },
    });
    [
        ("Meta".into(), meta),
        ("ListMeta".into(), list_meta),
        ("Error".into(), error),
        ("Problem".into(), problem),
    ]
}
