//! A value as a schema of the document describes it.

use serde_json::{Map, Value, json};

/// One that fits, with all that can be in it.
pub(super) fn example(schema: &Value, document: &Value) -> Value {
    let schema = resolved(schema, document);
    if let Some(example) = schema.get("example").or_else(|| schema["examples"].get(0)) {
        return example.clone();
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        let some = schema[choice].as_array().into_iter().flatten();
        if let Some(one) = some.into_iter().find(|one| one["type"] != "null") {
            return example(one, document);
        }
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match kind(schema) {
        "object" => {
            let fields = properties(schema)
                .map(|(name, field)| (name.clone(), named(name, field, document)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        "array" => json!([example(&schema["items"], document)]),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(false),
        _ => text(schema),
    }
}

/// Whatever a field's schema is, some names say more.
fn named(name: &str, schema: &Value, document: &Value) -> Value {
    match name {
        "email" => json!("mallory@example.com"),
        "username" => json!("mallory"),
        "password" | "new_password" | "current_password" => json!("a password of some length"),
        "sku" => json!("KETTLE"),
        _ => example(schema, document),
    }
}

fn text(schema: &Value) -> Value {
    let shortest = schema["minLength"].as_u64().unwrap_or(1).max(1);
    match schema["format"].as_str() {
        Some("uuid") => json!("018f0000-0000-7000-8000-000000000000"),
        Some("date-time") => json!("2026-01-01T00:00:00Z"),
        Some("email") => json!("mallory@example.com"),
        _ => json!("x".repeat(shortest as usize)),
    }
}

/// The fields of each object within, by the pointer to it.
pub(super) fn objects(
    schema: &Value,
    document: &Value,
    at: &str,
    found: &mut Vec<(String, Vec<String>)>,
) {
    let schema = resolved(schema, document);
    for choice in ["oneOf", "anyOf", "allOf"] {
        for one in schema[choice].as_array().into_iter().flatten() {
            objects(one, document, at, found);
        }
    }
    if schema.get("properties").is_some() {
        let names = properties(schema).map(|(name, _)| name.clone());
        found.push((at.to_owned(), names.collect()));
        for (name, field) in properties(schema) {
            objects(field, document, &format!("{at}/{name}"), found);
        }
    }
    if let Some(items) = schema.get("items") {
        objects(items, document, &format!("{at}/0"), found);
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

fn kind(schema: &Value) -> &str {
    let kinds = &schema["type"];
    let first = kinds.as_array().and_then(|kinds| {
        let mut kinds = kinds.iter().filter_map(Value::as_str);
        kinds.find(|kind| *kind != "null")
    });
    kinds.as_str().or(first).unwrap_or("object")
}

fn resolved<'a>(schema: &'a Value, document: &'a Value) -> &'a Value {
    let reference = schema["$ref"]
        .as_str()
        .and_then(|path| path.strip_prefix('#'));
    let found = reference.and_then(|pointer| document.pointer(pointer));
    found.unwrap_or(schema)
}
