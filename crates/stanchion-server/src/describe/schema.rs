use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// What a text may be: it is trimmed at input and has no control characters.
const TEXT: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// A text that is not empty, so it cannot be blank either.
const FILLED_TEXT: &str = r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$";

/// The named schemas of a document, and names that two different types claim.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schemas {
    pub(crate) named: BTreeMap<String, Value>,
    pub(crate) clashes: Vec<String>,
}

/// One property of an object schema.
pub(crate) struct Property {
    pub(crate) name: String,
    pub(crate) required: bool,
    pub(crate) about: String,
    pub(crate) schema: Value,
}

impl Schemas {
    /// The schema of `T`: a reference when `T` is a type of the application with a structure of its own.
    pub(crate) fn of<T: ToSchema>(&mut self) -> Value {
        self.add_nested::<T>();
        let schema = value(&T::schema());
        let structured = schema.get("properties").is_some()
            || schema.get("enum").is_some()
            || schema.get("oneOf").is_some()
            || schema.get("allOf").is_some();
        if !structured || is_std(std::any::type_name::<T>()) {
            return schema;
        }
        let name = sanitised(&T::name());
        self.add(name.clone(), schema);
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// The properties of an object type, without `null` as a value: what is absent is not sent.
    pub(crate) fn properties<T: ToSchema>(&mut self) -> Vec<Property> {
        self.add_nested::<T>();
        properties_of(&value(&T::schema()))
    }

    /// What a reference leads to; anything else as it is.
    pub(crate) fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let name = reference.and_then(|path| path.strip_prefix("#/components/schemas/"));
        name.and_then(|name| self.named.get(name)).unwrap_or(schema)
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (name, schema) in other.named {
            self.add(name, schema);
        }
        self.clashes.extend(other.clashes);
    }

    fn add_nested<T: ToSchema>(&mut self) {
        let mut nested = Vec::new();
        T::schemas(&mut nested);
        for (name, schema) in nested {
            self.add(sanitised(&name), value(&schema));
        }
    }

    fn add(&mut self, name: String, schema: Value) {
        match self.named.get(&name) {
            Some(known) if *known != schema => self.clashes.push(name),
            _ => drop(self.named.insert(name, schema)),
        }
    }
}

/// The properties of an object schema, without `null` as a value; none of any other.
pub(crate) fn properties_of(schema: &Value) -> Vec<Property> {
    let required = |name: &str| {
        let names = schema["required"].as_array();
        names.is_some_and(|names| names.iter().any(|required| required == name))
    };
    let properties = schema["properties"].as_object();
    properties
        .into_iter()
        .flatten()
        .map(|(name, property)| Property {
            name: name.clone(),
            required: required(name),
            about: property["description"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            schema: without_null(property.clone()),
        })
        .collect()
}

/// The same schema where `null` is not among the values.
pub(crate) fn without_null(mut schema: Value) -> Value {
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|name| name != "null");
        if types.len() == 1 {
            schema["type"] = types.remove(0);
        }
    }
    if let Some(choices) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        choices.retain(|choice| choice["type"] != "null");
        if choices.len() == 1 {
            return choices.remove(0);
        }
    }
    schema
}

/// The schema as a request is held to it: nothing unknown, no control characters in texts.
pub(crate) fn close(schema: &mut Value) {
    let Value::Object(fields) = schema else {
        return;
    };
    if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
        fields.insert("additionalProperties".into(), Value::Bool(false));
    }
    if let Some(pattern) = text_pattern(fields) {
        fields.insert("pattern".into(), pattern.into());
    }
    for field in fields.values_mut() {
        match field {
            Value::Array(items) => items.iter_mut().for_each(close),
            Value::Object(_) => close(field),
            _ => {}
        }
    }
}

/// What a text that says nothing more of its form may look like.
fn text_pattern(fields: &Map<String, Value>) -> Option<&'static str> {
    let told = |key: &&str| fields.contains_key(*key);
    if !is_text(fields) || ["enum", "pattern"].iter().any(told) {
        return None;
    }
    match fields.get("format").and_then(Value::as_str) {
        // Passwords are not trimmed: blanks count.
        Some("password") => Some(TEXT),
        Some(_) => None,
        None => {
            let blank_fits = fields.get("minLength").is_none_or(|length| *length == 0);
            Some(if blank_fits { TEXT } else { FILLED_TEXT })
        }
    }
}

fn is_text(fields: &Map<String, Value>) -> bool {
    match fields.get("type") {
        Some(Value::String(name)) => name == "string",
        Some(Value::Array(names)) => names.iter().any(|name| name == "string"),
        _ => false,
    }
}

fn value(schema: &RefOr<Schema>) -> Value {
    serde_json::to_value(schema).unwrap_or_default()
}

/// Types of the standard library are described where they stand, not by name.
fn is_std(type_name: &str) -> bool {
    [
        "alloc::",
        "core::",
        "std::",
        "uuid::",
        "jiff::",
        "serde_json::",
    ]
    .iter()
    .any(|path| type_name.starts_with(path))
        || !type_name.contains("::")
}

/// A name as the specification allows it for components.
fn sanitised(name: &str) -> String {
    let allowed = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
    name.chars()
        .map(|char| if allowed(char) { char } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(mut schema: Value) -> Value {
        close(&mut schema);
        schema
    }

    #[test]
    fn a_request_says_that_it_takes_no_control_characters() {
        let pattern = |schema: Value| closed(schema)["pattern"].clone();
        assert_eq!(pattern(json!({"type": "string"})), TEXT);
        assert_eq!(
            pattern(json!({"type": "string", "minLength": 1})),
            FILLED_TEXT
        );
        let password = json!({"type": "string", "format": "password", "minLength": 8});
        assert_eq!(pattern(password), TEXT);
        for told in [
            json!({"type": "string", "format": "uuid"}),
            json!({"type": "string", "enum": ["a"]}),
            json!({"type": "integer"}),
        ] {
            assert_eq!(pattern(told), Value::Null);
        }
    }

    #[test]
    fn an_object_takes_nothing_unknown_unless_it_says_so() {
        let object = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
        assert_eq!(closed(object.clone())["additionalProperties"], false);
        let mut open = object;
        open["additionalProperties"] = true.into();
        assert_eq!(closed(open)["additionalProperties"], true);
    }
}
