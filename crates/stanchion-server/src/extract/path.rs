use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::describe::{Describe, Description};
use crate::json::{clean, from_text};
use crate::{Problem, codes};

/// The one parameter of a path, as a `T`: usually an id.
///
/// An id is a type of its own, which also tells its schema:
///
/// ```
/// # use stanchion_server::{Answer, Anyone, PathId, ToSchema};
/// #[derive(serde::Deserialize, ToSchema)]
/// struct OrderId(uuid::Uuid);
///
/// async fn get_order(_: Anyone, PathId(OrderId(id)): PathId<OrderId>) -> Answer<String> {
///     Answer::ok(id.to_string())
/// }
/// ```
///
/// A text that is no `T` is 400 `INVALID_PARAMETER` and names the parameter: it cannot be the id of
/// anything, and a client that mistyped it should learn that, not that the thing is gone.
#[derive(Clone, Copy, Debug)]
pub struct PathId<T>(pub T);

/// All parameters of a path, as the fields of a `T`.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parameters = parameters(parts, state).await?;
        let [(name, value)] = parameters.as_slice() else {
            return Err(Problem::internal(
                "PathId wants a path with exactly one parameter",
            ));
        };
        from_text(Value::String(value.clone()))
            .map(Self)
            .map_err(|misfit| Problem::invalid_parameter(name, misfit))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parameters = parameters(parts, state).await?;
        let object: Map<_, _> = parameters
            .into_iter()
            .map(|(name, value)| (name, Value::String(value)))
            .collect();
        from_text(Value::Object(object))
            .map(Self)
            .map_err(|misfit| Problem::invalid_parameter(&misfit.path.clone(), misfit))
    }
}

impl<T: ToSchema> Describe for PathId<T> {
    fn describe(description: &mut Description) {
        let names = description.path_parameters();
        assert_eq!(
            names.len(),
            1,
            "PathId wants one parameter, `{}` has others",
            description.path
        );
        let schema = description.schemas.of::<T>();
        description.parameter("path", &names[0], true, "", schema);
        description.code(codes::INVALID_PARAMETER);
    }
}

impl<T: ToSchema> Describe for Path<T> {
    fn describe(description: &mut Description) {
        description.parameters_of::<T>("path");
        description.code(codes::INVALID_PARAMETER);
    }
}

async fn parameters<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<Vec<(String, String)>, Problem> {
    let raw = RawPathParams::from_request_parts(parts, state).await;
    let raw =
        raw.map_err(|_| Problem::invalid_parameter("path", "is not percent-encoded UTF-8"))?;
    raw.iter()
        .map(|(name, value)| {
            let value = clean(value.to_owned());
            let value = value.map_err(|reason| Problem::invalid_parameter(name, reason))?;
            Ok((name.to_owned(), value))
        })
        .collect()
}
