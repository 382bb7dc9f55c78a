//! What an operation takes and answers, told by the types in its handler's signature.

mod document;
mod schema;

pub(crate) use document::{Documented, document, usual_codes};
pub(crate) use schema::{Property, Schemas, properties_of};

use axum::extract::State;
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::Code;

/// A part of a handler's signature that tells what it adds to the operation's description.
///
/// Our own extractors do; an extractor of yours implements it to be usable in a described route.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not describe itself, so it cannot stand in a described operation",
    note = "use stanchion's extractors (Body, Query, PathId, Listing, …) or implement `Describe`"
)]
pub trait Describe {
    /// Adds to the description; the default adds nothing.
    fn describe(description: &mut Description) {
        let _ = description;
    }
}

/// What is known of an operation so far.
#[derive(Debug)]
pub struct Description {
    pub(crate) path: String,
    pub(crate) parameters: Vec<Value>,
    pub(crate) body: Option<Value>,
    pub(crate) codes: Vec<Code>,
    pub(crate) reply: ReplyShape,
    pub(crate) schemas: Schemas,
}

/// The form of what is answered.
#[derive(Clone, Debug, Default)]
pub(crate) enum ReplyShape {
    #[default]
    Nothing,
    One(Value),
    Plain(Value),
    Many(Value),
    Events(Value),
    /// As another standard has it; what its errors look like, unless they are pages as well.
    Verbatim {
        content_type: &'static str,
        success: Value,
        failure: Option<Value>,
    },
}

impl Description {
    pub(crate) fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            parameters: Vec::new(),
            body: None,
            codes: Vec::new(),
            reply: ReplyShape::default(),
            schemas: Schemas::default(),
        }
    }

    /// Adds an error it may answer with.
    pub fn code(&mut self, code: Code) {
        if !self.codes.contains(&code) {
            self.codes.push(code);
        }
    }

    /// Adds a header it reads; `schema` is a JSON Schema.
    pub fn header(&mut self, name: &str, required: bool, about: &str, schema: Value) {
        self.parameter("header", name, required, about, schema);
    }

    /// Adds a query parameter; `schema` is a JSON Schema.
    pub fn query(&mut self, name: &str, required: bool, about: &str, schema: Value) {
        self.parameter("query", name, required, about, schema);
    }

    /// Sets the body it reads by itself, without [`Body`](crate::Body); `schema` is a JSON Schema.
    pub fn body(&mut self, content_type: &str, schema: &Value) {
        let content = json!({content_type: {"schema": schema}});
        self.body = Some(json!({"required": true, "content": content}));
    }

    /// The names of the path's parameters, in their order.
    #[must_use]
    pub fn path_parameters(&self) -> Vec<String> {
        let parts = self.path.split('{').skip(1);
        parts
            .filter_map(|part| part.split_once('}'))
            .map(|(name, _)| name.trim_start_matches('*').to_owned())
            .collect()
    }

    pub(crate) fn parameter(
        &mut self,
        place: &str,
        name: &str,
        required: bool,
        about: &str,
        mut schema: Value,
    ) {
        if place != "header" {
            schema::close(&mut schema);
        }
        let known = |parameter: &Value| parameter["name"] == name && parameter["in"] == place;
        if self.parameters.iter().any(known) {
            return;
        }
        let mut parameter =
            json!({"name": name, "in": place, "required": required, "schema": schema});
        if !about.is_empty() {
            parameter["description"] = about.into();
        }
        self.parameters.push(parameter);
    }

    /// Each property of `T` as a parameter of its own.
    pub(crate) fn parameters_of<T: ToSchema>(&mut self, place: &str) {
        for property in self.schemas.properties::<T>() {
            let required = place == "path" || property.required;
            self.parameter(
                place,
                &property.name,
                required,
                &property.about,
                property.schema,
            );
        }
    }

    pub(crate) fn request_body(&mut self, required: bool, content_types: &[&str], schema: &Value) {
        let mut schema = schema.clone();
        schema::close(&mut schema);
        let content: serde_json::Map<_, _> = content_types
            .iter()
            .map(|content_type| ((*content_type).to_owned(), json!({"schema": schema})))
            .collect();
        self.body = Some(json!({"required": required, "content": content}));
    }
}

impl<T> Describe for State<T> {}
impl<T> Describe for axum::Extension<T> {}
impl Describe for HeaderMap {}
impl Describe for Method {}
impl Describe for Uri {}
impl Describe for crate::context::RequestContext {}
