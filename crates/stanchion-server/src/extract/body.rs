use axum::extract::{FromRequest, OptionalFromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use crate::admission::TooMany;
use crate::describe::{Describe, Description};
use crate::json::{Misfit, MisfitKind, clean_body, from_json, parse};
use crate::net::TooSlow;
use crate::{Problem, Validate, Violations, codes};

/// The most bytes of a body unless the operation says otherwise: 1 MiB.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A name that a client made up is shown up to here.
const NAME_CHARS_MAX: usize = 64;

/// How large a body may be, as a request extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimit(pub(crate) usize);

/// A JSON body as a `T`: read, cleaned, validated.
///
/// Text is trimmed and in normal form C when it arrives (see [`Validate::UNTRIMMED`] for passwords);
/// fields that `T` does not know are refused.
///
/// | wrong | answer |
/// |---|---|
/// | content type | 415 `UNSUPPORTED_MEDIA_TYPE` |
/// | size | 413 `PAYLOAD_TOO_LARGE` |
/// | JSON itself: syntax, encoding, depth, a key twice | 400 `MALFORMED_JSON` with line and column |
/// | a field that `T` does not know | 400 `UNKNOWN_FIELD` with its path |
/// | types, ranges, missing fields, rules of [`Validate`] | 422 `VALIDATION_FAILED` with `fields` |
///
/// `Option<Body<T>>` is `None` for an empty body.
#[derive(Clone, Copy, Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + Validate> Body<T> {
    /// The content of a message that came another way than as JSON, by the rules of a JSON body.
    ///
    /// # Errors
    /// 400 `UNKNOWN_FIELD` or 422 `VALIDATION_FAILED`, as for the same content in a body.
    pub fn of(mut content: Value) -> Result<Self, Problem> {
        cleaned(&mut content, T::UNTRIMMED)?;
        typed(content).map(Self)
    }
}

impl<T, S> FromRequest<S> for Body<T>
where
    T: DeserializeOwned + Validate,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_content_type(request.headers(), &["application/json"])?;
        let bytes = collect(request).await?;
        typed(tree(&bytes, T::UNTRIMMED)?).map(Self)
    }
}

impl<T, S> OptionalFromRequest<S> for Body<T>
where
    T: DeserializeOwned + Validate,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>, Problem> {
        let content_type = require_content_type(request.headers(), &["application/json"]);
        let bytes = collect(request).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        content_type?;
        typed(tree(&bytes, T::UNTRIMMED)?).map(|value| Some(Self(value)))
    }
}

impl<T: ToSchema> Describe for Body<T> {
    fn describe(description: &mut Description) {
        describe_body::<T>(description, true);
    }
}

impl<T: ToSchema> Describe for Option<Body<T>> {
    fn describe(description: &mut Description) {
        describe_body::<T>(description, false);
    }
}

fn describe_body<T: ToSchema>(description: &mut Description, required: bool) {
    let schema = description.schemas.of::<T>();
    description.request_body(required, &["application/json"], &schema);
    describe_body_errors(description);
}

pub(crate) fn describe_body_errors(description: &mut Description) {
    for code in [
        codes::MALFORMED_JSON,
        codes::UNKNOWN_FIELD,
        codes::PAYLOAD_TOO_LARGE,
        codes::UNSUPPORTED_MEDIA_TYPE,
        codes::VALIDATION_FAILED,
    ] {
        description.code(code);
    }
}

/// The whole body, or 413 as soon as it is larger than its limit.
pub(crate) async fn collect(request: Request) -> Result<Bytes, Problem> {
    if let Some(Collected(bytes)) = request.extensions().get::<Collected>() {
        return Ok(bytes.clone());
    }
    let limit = request
        .extensions()
        .get::<BodyLimit>()
        .map_or(BODY_BYTES_MAX, |limit| limit.0);
    let mut body = request.into_body();
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let code = if TooSlow::is_behind(&error) {
                codes::REQUEST_TIMEOUT
            } else if TooMany::is_behind(&error) {
                codes::OVERLOADED
            } else {
                codes::BAD_REQUEST
            };
            code.problem().caused_by(error)
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > limit {
            return Err(codes::PAYLOAD_TOO_LARGE.with("bytes_max", limit));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// A body that was read before the handler's arguments are.
#[derive(Clone)]
pub(crate) struct Collected(pub(crate) Bytes);

/// Bytes as a tree of clean texts; texts that cannot be cleaned are 422.
pub(crate) fn tree(bytes: &[u8], untrimmed: &[&str]) -> Result<Value, Problem> {
    let mut value = parse(bytes).map_err(|malformed| {
        codes::MALFORMED_JSON
            .with("line", malformed.line)
            .with("column", malformed.column)
            .with("reason", malformed.reason)
    })?;
    cleaned(&mut value, untrimmed)?;
    Ok(value)
}

fn cleaned(value: &mut Value, untrimmed: &[&str]) -> Result<(), Problem> {
    let mut violations = Violations::default();
    clean_body(value, untrimmed, &mut violations);
    violations.into_result()
}

/// A tree as a `T` that keeps its own rules.
pub(crate) fn typed<T: DeserializeOwned + Validate>(value: Value) -> Result<T, Problem> {
    let typed: T = from_json(value).map_err(misfit)?;
    let mut violations = Violations::default();
    typed.validate(&mut violations);
    violations.into_result()?;
    Ok(typed)
}

pub(crate) fn require_content_type(headers: &HeaderMap, taken: &[&str]) -> Result<(), Problem> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut parts = given.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let charset_fits = parts
        .filter_map(|part| part.split_once('='))
        .filter(|(name, _)| name.eq_ignore_ascii_case("charset"))
        .all(|(_, charset)| charset.trim_matches('"').eq_ignore_ascii_case("utf-8"));
    if charset_fits && taken.iter().any(|name| name.eq_ignore_ascii_case(essence)) {
        return Ok(());
    }
    Err(codes::UNSUPPORTED_MEDIA_TYPE.with("content_types", taken))
}

fn misfit(misfit: Misfit) -> Problem {
    let shown: String = misfit.path.chars().take(4 * NAME_CHARS_MAX).collect();
    match misfit.kind {
        MisfitKind::Unknown => codes::UNKNOWN_FIELD.with("field", shown),
        MisfitKind::Missing | MisfitKind::Wrong(_) => {
            let path = if misfit.path.is_empty() {
                "(body)"
            } else {
                shown.as_str()
            };
            Problem::invalid_field(path, &misfit.to_string())
        }
    }
}
