use axum::extract::FromRequestParts;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::describe::{Describe, Description};
use crate::json::{clean, from_text};
use crate::{Problem, codes};

/// More parameters than this are refused.
const PARAMETERS_MAX: usize = 64;

/// The query as a `T`; a parameter that `T` does not know is 400 `INVALID_PARAMETER`.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        typed(pairs(parts.uri.query().unwrap_or_default())?).map(Self)
    }
}

impl<T: ToSchema> Describe for Query<T> {
    fn describe(description: &mut Description) {
        description.parameters_of::<T>("query");
        description.code(codes::INVALID_PARAMETER);
    }
}

/// The parameters of a query: decoded strictly, cleaned, in the order they were sent.
pub(crate) fn pairs(query: &str) -> Result<Vec<(String, String)>, Problem> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    if parts.clone().count() > PARAMETERS_MAX {
        let reason = format!("the query has more than {PARAMETERS_MAX} parameters");
        return Err(Problem::invalid_parameter("query", reason));
    }
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name =
                decoded(name).map_err(|reason| Problem::invalid_parameter("query", reason))?;
            let value =
                decoded(value).map_err(|reason| Problem::invalid_parameter(&name, reason))?;
            Ok((name, value))
        })
        .collect()
}

/// Parameters as a `T`; one that is given several times is an array.
pub(crate) fn typed<T: DeserializeOwned>(pairs: Vec<(String, String)>) -> Result<T, Problem> {
    let mut object = Map::new();
    for (name, value) in pairs {
        match object.get_mut(&name) {
            None => drop(object.insert(name, Value::String(value))),
            Some(Value::Array(values)) => values.push(Value::String(value)),
            Some(first) => *first = Value::Array(vec![first.take(), Value::String(value)]),
        }
    }
    from_text(Value::Object(object)).map_err(|misfit| {
        let name: String = misfit.path.chars().take(64).collect();
        Problem::invalid_parameter(&name, misfit)
    })
}

pub(crate) fn decoded(text: &str) -> Result<String, &'static str> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced)
        .decode_utf8()
        .map_err(|_| "is not percent-encoded UTF-8")?
        .into_owned();
    clean(decoded)
}
