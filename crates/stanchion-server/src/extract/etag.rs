use axum::extract::FromRequestParts;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use serde_json::json;

use crate::describe::{Describe, Description};
use crate::{Problem, codes};

const PATTERN: &str = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#;

/// `If-Match`: the caller changes a thing only as the version it has read.
///
/// Versions are compared as [`Answer::etag`](crate::Answer::etag) writes them. Without the header
/// every version fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IfMatch(Option<Tags>);

/// `If-None-Match`, for handlers that can save work; a 304 is made without it too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IfNoneMatch(Option<Tags>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    Any,
    Listed(Vec<String>),
}

impl IfMatch {
    /// Whether the header was sent.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// The one version it names, to be passed on as the expected one.
    #[must_use]
    pub fn version(&self) -> Option<i64> {
        match &self.0 {
            Some(Tags::Listed(tags)) => match tags.as_slice() {
                [tag] => tag.parse().ok(),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a thing of that version may be changed.
    ///
    /// # Errors
    /// 412 `PRECONDITION_FAILED` if the header names others.
    pub fn check(&self, version: i64) -> Result<(), Problem> {
        let fits = self.0.as_ref().is_none_or(|tags| tags.name(version));
        if fits {
            Ok(())
        } else {
            Err(Problem::precondition_failed().with("version", version))
        }
    }
}

impl IfNoneMatch {
    /// Whether the caller has that version already.
    #[must_use]
    pub fn names(&self, version: i64) -> bool {
        self.0.as_ref().is_some_and(|tags| tags.name(version))
    }
}

impl Tags {
    fn name(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.iter().any(|tag| tag.parse() == Ok(version)),
        }
    }

    /// Strong comparison never matches a weak tag, so those are dropped where it is asked for.
    fn of(parts: &Parts, name: &HeaderName, weak: bool) -> Result<Option<Self>, Problem> {
        let mut tags = Vec::new();
        let mut given = false;
        for value in parts.headers.get_all(name) {
            given = true;
            let text = value.to_str().unwrap_or_default().trim();
            if text == "*" {
                return Ok(Some(Self::Any));
            }
            for tag in text.split(',').map(str::trim) {
                let (strong, is_weak) = tag
                    .strip_prefix("W/")
                    .map_or((tag, false), |tag| (tag, true));
                let opaque = strong
                    .strip_prefix('"')
                    .and_then(|tag| tag.strip_suffix('"'));
                let Some(opaque) = opaque.filter(|opaque| !opaque.contains('"')) else {
                    return Err(Problem::invalid_parameter(
                        name.as_str(),
                        "must be quoted entity tags or *",
                    ));
                };
                if weak || !is_weak {
                    tags.push(opaque.to_owned());
                }
            }
        }
        Ok(given.then_some(Self::Listed(tags)))
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Tags::of(parts, &IF_MATCH, false).map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Tags::of(parts, &IF_NONE_MATCH, true).map(Self)
    }
}

impl Describe for IfMatch {
    fn describe(description: &mut Description) {
        let schema = json!({"type": "string", "pattern": PATTERN, "examples": ["*"]});
        description.header(
            "If-Match",
            false,
            "Change it only if it has this version: an ETag in quotes, or * for any.",
            schema,
        );
        description.code(codes::INVALID_PARAMETER);
        description.code(codes::PRECONDITION_FAILED);
    }
}

impl Describe for IfNoneMatch {
    fn describe(description: &mut Description) {
        let schema = json!({"type": "string", "pattern": PATTERN, "examples": ["\"3\""]});
        description.header(
            "If-None-Match",
            false,
            "Answer 304 if it still has this version.",
            schema,
        );
        description.code(codes::INVALID_PARAMETER);
    }
}
