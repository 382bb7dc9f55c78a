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
    /// That it must have this version; `None` if any will do.
    #[must_use]
    pub fn version(version: Option<i64>) -> Self {
        Self(version.map(|version| Tags::Listed(vec![version.to_string()])))
    }

    /// Whether the header was sent.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.0.is_some()
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

    /// The version that a thing of this version must still have when it is changed; `None` if any will do.
    ///
    /// # Errors
    /// 412 `PRECONDITION_FAILED` if the header names others.
    pub fn expected(&self, version: i64) -> Result<Option<i64>, Problem> {
        self.check(version)?;
        Ok(matches!(self.0, Some(Tags::Listed(_))).then_some(version))
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
            Self::Listed(tags) => tags.iter().any(|tag| names(tag, version)),
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
            let listed = listed(text).ok_or_else(|| {
                Problem::invalid_parameter(name.as_str(), "must be quoted entity tags or *")
            })?;
            let fitting = listed.into_iter().filter(|(_, is_weak)| weak || !is_weak);
            tags.extend(fitting.map(|(opaque, _)| opaque.to_owned()));
        }
        Ok(given.then_some(Self::Listed(tags)))
    }
}

/// The tags of a list, each with whether it is weak. A comma within the quotes belongs to its tag.
fn listed(text: &str) -> Option<Vec<(&str, bool)>> {
    let mut tags = Vec::new();
    let mut rest = text;
    loop {
        let (strong, is_weak) = rest
            .strip_prefix("W/")
            .map_or((rest, false), |strong| (strong, true));
        let (opaque, after) = strong.strip_prefix('"')?.split_once('"')?;
        if !opaque.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        tags.push((opaque, is_weak));
        let after = after.trim_start();
        if after.is_empty() {
            return Some(tags);
        }
        rest = after.strip_prefix(',')?.trim_start();
    }
}

/// Letter by letter, as tags are compared: `"07"` and `"+7"` are not the tag of version 7.
fn names(tag: &str, version: i64) -> bool {
    tag == version.to_string()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_quoted_tags_between_commas() {
        let both = [("3", false), ("a,b", true), ("", false)];
        assert_eq!(listed(r#""3" ,W/"a,b",  """#).unwrap(), both);
        for wrong in [
            "",
            "3",
            "\"3",
            "3\"",
            "\"3\",",
            ",\"3\"",
            "\"3\"\"4\"",
            "w/\"3\"",
            "\"a b\"",
        ] {
            assert_eq!(listed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_tag_is_compared_letter_by_letter() {
        let tags = |tags: &[&str]| {
            IfMatch(Some(Tags::Listed(
                tags.iter().map(|tag| (*tag).to_owned()).collect(),
            )))
        };
        assert!(tags(&["1", "7"]).check(7).is_ok());
        assert_eq!(tags(&["1", "7"]).expected(7).unwrap(), Some(7));
        assert_eq!(IfMatch(Some(Tags::Any)).expected(7).unwrap(), None);
        for other in ["07", "+7", "8", ""] {
            assert!(tags(&[other]).check(7).is_err(), "{other}");
        }
    }
}
