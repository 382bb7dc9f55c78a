use std::marker::PhantomData;

use axum::extract::{FromRequest, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::body::{collect, describe_body_errors, require_content_type, tree, typed};
use crate::describe::{Describe, Description, Property, Schemas, properties_of};
use crate::{Problem, Validate};

/// A JSON Merge Patch (RFC 7396) of a `T`, where `T` is what a `PUT` of the same resource takes.
///
/// Apply it to what is there now: the result obeys the same rules as a `PUT` of the whole.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use stanchion_server::{MergePatch, Problem, Validate, Violations};
/// #[derive(Serialize, Deserialize)]
/// struct Profile { first_name: Option<String>, last_name: Option<String> }
/// impl Validate for Profile { fn validate(&self, _: &mut Violations) {} }
///
/// # fn main() -> Result<(), Problem> {
/// let patch: MergePatch<Profile> = MergePatch::of(serde_json::json!({"last_name": null}));
/// let now = Profile { first_name: Some("Ada".into()), last_name: Some("King".into()) };
/// let next = patch.apply(&now)?;
/// assert_eq!((next.first_name.as_deref(), next.last_name), (Some("Ada"), None));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MergePatch<T> {
    patch: Value,
    of: PhantomData<fn() -> T>,
}

/// Objects within objects that are told as partial; what is deeper is told as a whole.
const NESTED_MAX: usize = 8;

const CONTENT_TYPES: [&str; 2] = ["application/merge-patch+json", "application/json"];

impl<T: Serialize + DeserializeOwned + Validate> MergePatch<T> {
    /// The patch in this tree.
    #[must_use]
    pub fn of(patch: Value) -> Self {
        Self {
            patch,
            of: PhantomData,
        }
    }

    /// What `current` becomes by it.
    ///
    /// # Errors
    /// 400 `UNKNOWN_FIELD` or 422 `VALIDATION_FAILED`, as for the whole in a `PUT`.
    pub fn apply(&self, current: &T) -> Result<T, Problem> {
        let mut merged = serde_json::to_value(current).map_err(Problem::internal)?;
        merge(&mut merged, self.patch.clone());
        typed(merged)
    }
}

impl<T, S> FromRequest<S> for MergePatch<T>
where
    T: Serialize + DeserializeOwned + Validate,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_content_type(request.headers(), &CONTENT_TYPES)?;
        let bytes = collect(request).await?;
        let patch = tree(&bytes, T::UNTRIMMED)?;
        if patch.is_object() {
            Ok(Self::of(patch))
        } else {
            Err(Problem::invalid_field("(body)", "must be an object"))
        }
    }
}

impl<T: ToSchema> Describe for MergePatch<T> {
    fn describe(description: &mut Description) {
        let told = description.schemas.properties::<T>();
        let properties = patchable(told, &description.schemas, NESTED_MAX);
        let schema = json!({
            "type": "object", "properties": properties, "additionalProperties": false,
        });
        description.request_body(true, &CONTENT_TYPES, &schema);
        describe_body_errors(description);
    }
}

/// All properties may be left out; one that the whole may lack may also be removed, which is said by null.
fn patchable(
    properties: Vec<Property>,
    schemas: &Schemas,
    nested_max: usize,
) -> Map<String, Value> {
    let patchable = |property: Property| {
        let schema = partial(property.schema, schemas, nested_max);
        let schema = if property.required {
            schema
        } else {
            json!({"oneOf": [{"type": "null"}, schema]})
        };
        (property.name, schema)
    };
    properties.into_iter().map(patchable).collect()
}

/// An object within the object is patched likewise, not replaced.
fn partial(schema: Value, schemas: &Schemas, nested_max: usize) -> Value {
    let nested = properties_of(schemas.resolved(&schema));
    if nested.is_empty() || nested_max == 0 {
        return schema;
    }
    let nested = patchable(nested, schemas, nested_max - 1);
    json!({"type": "object", "properties": nested, "additionalProperties": false})
}

/// RFC 7396, section 2. Its depth is bounded by the parser's.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(&name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merging_follows_the_examples_of_the_rfc() {
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!([1, 2]),
                json!({"a": "b", "c": null}),
                json!({"a": "b"}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ];
        for (mut target, patch, expected) in cases {
            merge(&mut target, patch);
            assert_eq!(target, expected);
        }
    }

    #[derive(ToSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct Thing {
        name: String,
        price: Price,
    }

    #[derive(ToSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct Price {
        amount: i64,
        note: Option<String>,
    }

    #[test]
    fn a_patch_may_leave_out_what_stands_within_an_object() {
        let mut description = Description::new("/things/{id}");
        MergePatch::<Thing>::describe(&mut description);
        let body = description.body.unwrap();
        let schema = &body["content"]["application/json"]["schema"];
        let price = &schema["properties"]["price"];
        assert_eq!(price.get("required"), None);
        assert_eq!(price["additionalProperties"], false);
        assert_eq!(price["properties"]["amount"]["type"], "integer");
        assert_eq!(price["properties"]["note"]["oneOf"][0]["type"], "null");
        assert_eq!(schema["properties"]["name"]["type"], "string");
    }
}
